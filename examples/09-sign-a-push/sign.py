"""Signs a Bundle, so that the server knows whose it is and that nobody has altered it since.

    python sign.py key k1 key.pem > bv-tinh.json      a key pair; the public part as a JWK Set
    python sign.py sign k1 key.pem < push.json > signed.json

It needs `pip install joserfc`. The rule is that of docs/guides/signing.md.
"""

import base64
import datetime
import json
import re
import sys
from pathlib import Path

from joserfc import jwk, jws

WHO = {"display": "Bệnh viện tỉnh"}
PURPOSE = {"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.14"}  # source


def canonical(bundle: dict) -> bytes:
    """No blanks, properties in order, decimals with the digits that they came with: `read` has
    put them between NULs, which no text of FHIR holds."""
    unsigned = {name: value for name, value in bundle.items() if name != "signature"}
    text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000(.*?)\\u0000"', r"\1", text).encode()


def sign(sent: str, key: jwk.ECKey, kid: str) -> str:
    bundle = json.loads(sent, parse_float=lambda digits: f"\0{digits}\0")
    whole = jws.serialize_compact({"alg": "ES256", "kid": kid}, canonical(bundle), key)
    header, _, signature = whole.split(".")
    bundle["signature"] = {
        "type": [PURPOSE],
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "who": WHO,
        "sigFormat": "application/jose",
        "data": base64.b64encode(f"{header}..{signature}".encode()).decode(),
    }
    return re.sub(r'"\\u0000(.*?)\\u0000"', r"\1", json.dumps(bundle))


def new_key(kid: str, file: Path) -> str:
    key = jwk.ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
    file.write_bytes(key.as_pem(private=True))
    file.chmod(0o600)
    return json.dumps({"keys": [key.as_dict(private=False)]})


if __name__ == "__main__":
    deed, kid, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if deed == "key":
        print(new_key(kid, file))
    else:
        print(sign(sys.stdin.read(), jwk.ECKey.import_key(file.read_bytes()), kid))
