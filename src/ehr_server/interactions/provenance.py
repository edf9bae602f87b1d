"""Where a write is from: the header X-Provenance, and the signature of a Bundle.

https://hl7.org/fhir/R4/provenance.html#header. The header covers all that the request writes: one
resource, a transaction, or each entry of a batch, which is a write of its own and so has a
Provenance of its own. A Bundle whose signature is verified has another, which keeps the signature
(docs/guides/signing.md).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.changes.provenance import Told
from ehr_server.changes.rows import PROVENANCE
from ehr_server.errors import Invalid, TooLarge, Unprocessable
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.signatures.keys import Folder
from ehr_server.signatures.verify import WHERE, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.call import Call

HEADER = "X-Provenance"

_BYTES_MAX = 16_384  # of the header
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def told(call: Call, content: Any) -> tuple[Told, ...]:
    """What is to be stored along with the content that is written, None if it is no resource.

    Raises `Invalid` for a header that is no Provenance without a target, `TooLarge`, and
    `Unprocessable` for a signature that is wrong, or missing where one is required.
    """
    found = []
    header = in_header(call.request.headers)
    if header is not None:
        found.append(Told(header, HEADER))
    bundle = content if isinstance(content, dict) else {}
    if call.settings.signatures != "off":
        is_bundle = bundle.get("resourceType") == "Bundle"
        if is_bundle and isinstance(bundle.get("signature"), dict):
            found.append(Told(_of_signature(call, bundle), "Bundle"))
        elif call.settings.signatures == "required":
            raise Unprocessable(issues=[_UNSIGNED])
    return tuple(found)


def in_header(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The Provenance in the header, None if there is none; raises as `told`. It is JSON in UTF-8,
    whatever the body is."""
    text = headers.get(HEADER.lower())
    if text is None:
        return None
    if len(text) > _BYTES_MAX:
        raise TooLarge(
            f"{HEADER} holds at most {_BYTES_MAX} bytes; send what is larger as a Provenance in "
            "the same transaction.",
            vi=f"{HEADER} tối đa {_BYTES_MAX} byte; phần lớn hơn xin gửi thành một Provenance "
            "trong cùng giao dịch.",
            expression=(HEADER,),
        )
    try:
        value = json.read(text.encode("latin-1"))  # as the bytes were
    except Invalid as refusal:
        refusal.text = refusal.text.replace("The body", HEADER, 1)
        refusal.vi = (refusal.vi or "").replace("Nội dung", HEADER, 1)
        refusal.expression = (HEADER,)
        raise
    if not isinstance(value, dict) or value.get("resourceType") != PROVENANCE:
        raise Invalid(
            f"{HEADER} must hold one {PROVENANCE}, a JSON object.",
            vi=f"{HEADER} phải là một {PROVENANCE}, tức một đối tượng JSON.",
            expression=(HEADER,),
        )
    if "target" in value:
        raise Invalid(
            f"{HEADER} shall have no target: the server fills it in, with what this request "
            "writes. To tell of other resources, POST a Provenance.",
            vi=f"{HEADER} không được có target: máy chủ tự điền những gì yêu cầu này ghi. Để nói "
            "về tài nguyên khác, hãy POST một Provenance.",
            expression=(f"{HEADER}.target",),
        )
    return value


def _of_signature(call: Call, bundle: dict[str, Any]) -> dict[str, Any]:
    """A Provenance that keeps the signature, and says whose it is."""
    path = call.settings.signature_keys_dir
    keys = _folder(path).keys(call.caller.name) if path is not None else ()
    signature = bundle["signature"]
    signed = verify(call.request.body, signature, keys, clock.now().timestamp())
    if isinstance(signed, Issue):
        raise Unprocessable(issues=[signed])
    made: dict[str, Any] = {
        "resourceType": PROVENANCE,
        "activity": {"coding": [{"system": _LIFECYCLE, "code": "attest"}]},
        "agent": [
            _agent("attester", signed.who),
            _agent("verifier", {"display": "ehr-server"}),
        ],
        "signature": [signature],
    }
    if isinstance(bundle.get("identifier"), dict):
        what = {"identifier": bundle["identifier"]}  # of the Bundle that the signer keeps
        made["entity"] = [{"role": "source", "what": what}]
    return made


def _agent(code: str, who: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": {"coding": [{"system": _PARTICIPANT, "code": code}]}, "who": dict(who)}


_folder = lru_cache(maxsize=4)(Folder)

_UNSIGNED = Issue(
    "error",
    "required",
    "What is stored here must be signed: send a transaction or a batch, or a Bundle to be kept, "
    "with a signature by a registered key (see the guide to signing).",
    (WHERE,),
    vi="Dữ liệu lưu tại đây phải được ký số: xin gửi Bundle (transaction, batch hoặc Bundle để "
    "lưu) có signature bằng khóa đã đăng ký (xem hướng dẫn về chữ ký số).",
    rule="signature",
)
