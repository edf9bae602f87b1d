"""Keys and signatures of a sender, for the tests of signed Bundles: made by the rules of
docs/guides/signing.md, without the code that verifies them.
"""

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

DOCUMENT = (
    "application/fhir+json;canonicalization=http://hl7.org/fhir/canonicalization/json#document"
)
OURS = "bv-tinh"  # the signer that most tests are about


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class _Digits(float):
    """A decimal that is written as it was read."""

    def __new__(cls, text: str) -> "_Digits":
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __repr__(self) -> str:
        return self.text

    text: str


def canonical(text: str, without: tuple[str, ...] = ("signature",)) -> bytes:
    """As the guide has it: by Python's own `json`, whose floats are written by their repr."""
    value = json.loads(text, parse_float=_literal)
    return _written({k: v for k, v in value.items() if k not in without}).encode()


def _literal(text: str) -> Any:
    return _Digits(text)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k)}:{_written(value[k])}" for k in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return repr(value) if isinstance(value, _Digits) else json.dumps(value, ensure_ascii=False)


class Signer:
    """A key pair on P-256 under a kid."""

    def __init__(self, kid: str = "k1") -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    def jwk(self, **more: Any) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        x, y = (base64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig"} | more

    def jws(self, payload: bytes, **header: Any) -> str:
        """Detached, RFC 7515 Appendix F, by ES256."""
        protected = base64url(json.dumps({"alg": "ES256", "kid": self.kid} | header).encode())
        signed = f"{protected}.{base64url(payload)}".encode()
        r, s = utils.decode_dss_signature(self.private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return f"{protected}..{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def sign(self, bundle: Mapping[str, Any], **header: Any) -> dict[str, Any]:
        """The Bundle with its signature."""
        return with_signature(bundle, self.jws(canonical(text(bundle)), **header))


def text(value: Any) -> str:
    """JSON with decimals as they are."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)}: {text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def with_signature(bundle: Mapping[str, Any], jws: str, **more: Any) -> dict[str, Any]:
    purpose = {"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.14"}
    signature = {
        "type": [purpose],
        "when": "2026-10-05T09:00:00+07:00",
        "who": {"display": "Bệnh viện tỉnh"},
        "sigFormat": "application/jose",
        "data": base64.b64encode(jws.encode()).decode(),
    }
    return {**bundle, "signature": signature | more}


def write_keys(folder: Path, signer: str, *jwks: Mapping[str, Any], **more: Any) -> None:
    """The file of a signer, replaced at once, as an operator should."""
    new = folder / f"{signer}.new"
    new.write_text(json.dumps({"keys": list(jwks)} | more), encoding="utf-8")
    new.rename(folder / f"{signer}.json")
