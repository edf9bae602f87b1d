"""Whether the signature of a Bundle is that of its content, and whose.

https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.signature and
https://hl7.org/fhir/R4/datatypes.html#Signature: `data` is a JWS in the compact form with detached
content (https://www.rfc-editor.org/rfc/rfc7515#appendix-F) over the canonical form of the Bundle
without its `signature`. docs/guides/signing.md has the rule for who signs, docs/decisions/0034 why
it is this one. The elements beside `data` are not signed: who signed is whose key it was.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, deserialize_compact

from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.signatures.keys import ALGORITHMS, Key

WHERE = "Bundle.signature"
JOSE = "application/jose"
CANONICAL = "http://hl7.org/fhir/canonicalization/json"

_ALLOWED = tuple(name for names in ALGORITHMS.values() for name in names)
_DETACHED = re.compile(rb"([A-Za-z0-9_-]{2,4096})\.\.([A-Za-z0-9_-]{2,4096})")
# By canonicalization what the signature does not cover. Others leave out what is stored.
_UNSIGNED: Mapping[str, tuple[str, ...]] = {
    CANONICAL: ("signature",),
    f"{CANONICAL}#document": ("signature", "id", "meta"),
}
_FORMAT = re.compile(r"\s*application/(?:fhir\+)?json\s*(?:;\s*canonicalization\s*=\s*(.*))?")


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed: the name of the signer, and as a Reference."""

    signer: str
    who: Mapping[str, Any]


class _Registry(JWSRegistry):
    """Bundles are larger than the tokens that the library has in mind; `body_bytes_max` is the
    limit of what comes this far."""

    max_header_length = 4096
    max_payload_length = 2**31


def verify(
    body: bytes, signature: Mapping[str, Any], keys: Sequence[Key], at: float
) -> Signed | Issue:
    """Who signed the Bundle in the JSON text, with one of these keys, valid at a moment in seconds
    since 1970; or why it counts as signed by nobody."""
    try:
        compact, header = _compact(signature)
        payload = json.canonical(body, _left_out(signature))
    except _Wrong as wrong:
        return wrong.issue
    except Invalid as refusal:
        return _issue(refusal.text, refusal.vi or "", "value")
    found = [one for one in keys if one.kid == header["kid"]]
    if not found:
        return _issue(
            "There is no key of that kid here for this sender; have the operator register it.",
            "Không có khóa mang kid này cho bên gửi; xin đề nghị quản trị máy chủ đăng ký khóa.",
            "unknown",
        )
    in_time = [one for one in found if one.not_before <= at < one.expires]
    if not in_time:
        return _issue(
            "The key is not valid yet, or no longer; sign with one that is.",
            "Khóa chưa có hiệu lực hoặc đã hết hạn; xin ký bằng khóa còn hiệu lực.",
            "expired",
        )
    signers = [one for one in in_time if _is_by(one, compact, payload)]
    if not signers:
        return _issue(
            "The signature is not that of this content by this key: the content was changed, or "
            "it was brought into another canonical form than that of this server (see the guide "
            "to signing).",
            "Chữ ký không khớp với nội dung và khóa này: nội dung đã bị thay đổi, hoặc dạng chuẩn "
            "tắc khác với máy chủ này (xem hướng dẫn về chữ ký số).",
            "invalid",
        )
    return _signed(signers[0], signature)


class _Wrong(Exception):
    def __init__(self, text: str, vi: str, below: str = "") -> None:
        super().__init__(text)
        self.issue = _issue(text, vi, "value", below)


def _compact(signature: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """The JWS, and its header, of which nothing is known yet but that it can be looked at."""
    if signature.get("sigFormat") != JOSE:
        raise _Wrong(
            f"Only signatures in {JOSE} are verified here.",
            f"Máy chủ này chỉ kiểm tra chữ ký dạng {JOSE}.",
            ".sigFormat",
        )
    try:
        compact = base64.b64decode(str(signature.get("data", "")), validate=True)
    except ValueError:
        compact = b""
    parts = _DETACHED.fullmatch(compact)
    if parts is None:
        raise _Wrong(
            "The data is not, in base64, one JWS in the compact form without its content: "
            "header..signature.",
            "data phải là base64 của một JWS dạng rút gọn, không kèm nội dung: header..signature.",
            ".data",
        )
    try:
        header = json.read(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (ValueError, Invalid):
        header = None
    if not isinstance(header, dict):
        raise _Wrong(
            "The header of the JWS is not a JSON object.",
            "Phần đầu của JWS không phải đối tượng JSON.",
            ".data",
        )
    _refuse_header(header)
    return compact, header


def _refuse_header(header: Mapping[str, Any]) -> None:
    if header.get("alg") not in _ALLOWED:
        listed = ", ".join(_ALLOWED)
        raise _Wrong(
            f"The alg of the JWS must be one of {listed}.",
            f"alg của JWS phải là một trong {listed}.",
            ".data",
        )
    if "crit" in header or "b64" in header:
        raise _Wrong(
            "The JWS needs an extension (crit, b64) that is not known here.",
            "JWS đòi hỏi phần mở rộng (crit, b64) mà máy chủ này không biết.",
            ".data",
        )
    if not isinstance(header.get("kid"), str):
        raise _Wrong(
            "The header of the JWS must name a registered key, by its kid; certificates and keys "
            "that come along (x5c, jwk, jku, x5u) count for nothing.",
            "Phần đầu của JWS phải nêu khóa đã đăng ký bằng kid; chứng thư và khóa gửi kèm (x5c, "
            "jwk, jku, x5u) không được tính.",
            ".data",
        )


def _left_out(signature: Mapping[str, Any]) -> tuple[str, ...]:
    parts = _FORMAT.fullmatch(str(signature.get("targetFormat", "application/fhir+json")))
    found = _UNSIGNED.get((parts[1] or CANONICAL).strip().strip('"')) if parts else None
    if found is None:
        listed = ", ".join(_UNSIGNED)
        raise _Wrong(
            "The targetFormat must be application/fhir+json, with none or one of the "
            f"canonicalizations {listed}: others leave parts unsigned.",
            "targetFormat phải là application/fhir+json, kèm hoặc không kèm một trong các dạng "
            f"chuẩn tắc {listed}: các dạng khác để lại phần không được ký.",
            ".targetFormat",
        )
    return found


def _is_by(key: Key, compact: bytes, payload: bytes) -> bool:
    registry = _Registry(algorithms=key.algorithms, strict_check_header=False)
    try:
        deserialize_compact(compact, key.key, key.algorithms, registry, payload)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _signed(key: Key, signature: Mapping[str, Any]) -> Signed | Issue:
    """Where the owner of the key is known by a Reference, the signature may not name another."""
    if key.who is None:
        return Signed(key.signer, {"display": key.signer})
    claimed = signature.get("who")
    claimed = claimed if isinstance(claimed, dict) else {}
    if not _is_same(key.who, claimed):
        return _issue(
            "The signature names another as who signed than the owner of the key.",
            "Chữ ký nêu người ký khác với chủ của khóa.",
            "invalid",
            ".who",
        )
    return Signed(key.signer, key.who)


def _is_same(who: Mapping[str, Any], claimed: Mapping[str, Any]) -> bool:
    """Whether what is claimed agrees in what both say; a name alone claims nothing."""
    theirs, ours = _named(claimed), _named(who)
    both = theirs.keys() & ours.keys()
    return not theirs or (bool(both) and all(theirs[name] == ours[name] for name in both))


def _named(who: Mapping[str, Any]) -> dict[str, Any]:
    found = {"reference": who["reference"]} if "reference" in who else {}
    identifier = who.get("identifier")
    if isinstance(identifier, dict):
        found["identifier"] = (identifier.get("system"), identifier.get("value"))
    return found


def _issue(text: str, vi: str, code: str, below: str = "") -> Issue:
    return Issue("error", code, text, (WHERE + below,), vi=vi, rule="signature")
