"""Gets a token with the key of a program, and sends a checkup: SMART Backend Services.

python push_with_token.py lab lab.key.json [../01-checkup/checkup.json] [--base URL]
"""

import argparse
import json
import os
import time
import uuid
from pathlib import Path

import httpx
from joserfc import jwk, jws

CHECKUP = Path(__file__).parents[1] / "01-checkup" / "checkup.json"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def main() -> None:
    options = _options()
    with httpx.Client(base_url=options.base, timeout=60) as record:
        token = got(record, options.client, json.loads(options.key.read_bytes()))
        answer = record.post(
            "/",
            content=options.bundle.read_bytes(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"},
        )
        answer.raise_for_status()
    print(f"{len(answer.json()['entry'])} resources stored by {options.client}")


def got(record: httpx.Client, client: str, key: dict[str, str]) -> str:
    """A token for some minutes. The assertion is good once, for a minute."""
    endpoint = record.get("/.well-known/smart-configuration").json()["token_endpoint"]
    head = {"alg": "ES384", "typ": "JWT", "kid": key["kid"]}
    claims = {"iss": client, "sub": client, "aud": endpoint, "jti": str(uuid.uuid4())}
    text = json.dumps(claims | {"exp": int(time.time()) + 60})
    assertion = jws.serialize_compact(head, text, jwk.import_key(key), ["ES384"])
    form = {"grant_type": "client_credentials", "scope": "system/*.cruds"}
    form |= {"client_assertion_type": ASSERTION, "client_assertion": assertion}
    answer = record.post(endpoint, data=form)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", help="the id that the program is registered by")
    parser.add_argument("key", type=Path, help="its private key, a JWK")
    parser.add_argument("bundle", type=Path, nargs="?", default=CHECKUP, help="what to send")
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
