"""A JSON Web Token in its compact form, taken apart without trust, and its signature checked.

https://www.rfc-editor.org/rfc/rfc7519, https://www.rfc-editor.org/rfc/rfc7515, and what
https://www.rfc-editor.org/rfc/rfc8725 asks of who takes them. The library checks signatures; what
it would let pass is refused before: names that stand twice, letters that are no base64url, headers
that say where a key is to be had.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError

from ehr_server.admission.rejected import Rejected
from ehr_server.errors import Invalid
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Collection

    from ehr_server.admission.keys import Key

TOKEN_BYTES_MAX = 8_192

# Asymmetric ones alone: who can check a token must not be able to make one (RFC 8725, 3.1 and 3.2).
ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_DEPTH_MAX = 12


class _Registry(jws.JWSRegistry):
    max_header_length = TOKEN_BYTES_MAX


_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token says of itself; nothing of it is true before `check_signature` was passed."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def algorithm(self) -> str:
        """The algorithm that it names, one of those that are allowed."""
        return str(self.header["alg"])

    @property
    def kid(self) -> str | None:
        """The key that it names."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def taken_apart(text: str, types: Collection[str]) -> Signed:
    """The parts of a token whose `typ` is one of the types, or that has none.

    Raises `Rejected`: too large, not three parts of base64url, no JSON objects, a name twice, an
    algorithm that is not allowed, `crit`, another type.
    """
    if len(text) > TOKEN_BYTES_MAX:
        raise Rejected(
            "size",
            f"The token is larger than {TOKEN_BYTES_MAX} bytes.",
            f"Token lớn hơn {TOKEN_BYTES_MAX} byte.",
        )
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise _malformed()
    header, claims = _object(parts[1]), _object(parts[2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Rejected(
            "algorithm",
            "The token is not signed by an algorithm that is accepted: "
            f"{', '.join(sorted(ALGORITHMS))}.",
            f"Token không được ký bằng thuật toán được chấp nhận: {', '.join(sorted(ALGORITHMS))}.",
        )
    if "crit" in header:  # RFC 7515, 4.1.11: what is not understood must be refused
        raise Rejected(
            "crit",
            "The token has critical headers, none of which is understood here.",
            "Token có tiêu đề crit mà máy chủ không hiểu.",
        )
    type_ = header.get("typ", "JWT")
    if not isinstance(type_, str) or _short(type_) not in types:
        raise Rejected(
            "typ",
            f"The token is of another type; expected is {' or '.join(sorted(types))}.",
            f"Token thuộc loại khác; cần {' hoặc '.join(sorted(types))}.",
        )
    return Signed(text, header, claims)


def check_signature(signed: Signed, key: Key) -> None:
    """Raises `Rejected` unless the token was signed by the holder of this key, with an algorithm
    that is the key's."""
    try:
        jws.deserialize_compact(signed.text, key.public, [signed.algorithm], _REGISTRY)
    except (JoseError, ValueError):
        raise Rejected(
            "signature",
            "The signature of the token is wrong.",
            "Chữ ký của token không đúng.",
        ) from None


def _short(type_: str) -> str:
    """RFC 7515, 4.1.9: `application/` is left out, and letters count alike whatever their case."""
    return type_.lower().removeprefix("application/")


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.read(urlsafe_b64decode(part + "=" * (-len(part) % 4)), _DEPTH_MAX)
    except (ValueError, Invalid):
        raise _malformed() from None
    if not isinstance(value, dict):
        raise _malformed()
    return value


def _malformed() -> Rejected:
    return Rejected(
        "malformed",
        "The token is no JWT: three parts of base64url with dots between them, the first two "
        "JSON objects in which no name stands twice.",
        "Token không phải JWT: ba phần base64url nối bằng dấu chấm, hai phần đầu là đối tượng JSON "
        "không có tên lặp lại.",
    )
