"""The key of a push: the header Idempotency-Key, else the identifier of a transaction or batch.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ and
https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.identifier. Of a document or another Bundle
that is kept the identifier is no key: it says which visit it is about, and corrections are normal.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ehr_server.changes.push import Push, sender_of
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.interactions import provenance
from ehr_server.interactions.written import preferred
from ehr_server.store.receipts import SINGLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ehr_server.call import Call, Request

_HEADER = "idempotency-key"
_KEY_MAX = 255
_KEY = re.compile(rf"[!-~]{{1,{_KEY_MAX}}}")  # visible ASCII
_CONDITIONS = ("if-match", "if-none-match", "if-none-exist")
_PATCH = "PATCH"  # what it means, its format tells
_DIGEST_BYTES = 16


def push(call: Call, content: Any = None, *, is_json: bool = False) -> Push | None:
    """How a single write was sent, None where nothing is said of that; `content` as parsed, else
    the body counts, which may be JSON.

    Raises `Invalid` for a key that is none, and what `provenance.told` raises.
    """
    request = call.request
    if request.push is not None:
        return request.push
    told = provenance.told(call, content)
    if _HEADER not in request.headers:
        return Push("", told=told) if told else None
    sender = sender_of(call.caller, [content if isinstance(content, dict) else None])
    if is_json and request.body:
        content = json.read(request.body, request.depth_max)
    digest = _digest(request, content)
    findings = _tells_findings(call)
    return Push(sender, _key(request), digest, SINGLE, tells_findings=findings, told=told)


def push_of_bundle(call: Call, bundle: dict[str, Any], kind: int) -> Push | None:
    """How a transaction or batch was sent; its sender is what the Bundle says of its source, else
    the first of its resources that does. None where neither that nor a key is given, nor anything
    is told along.

    Raises `Invalid` for a key that is none, and what `provenance.told` raises.
    """
    told = provenance.told(call, bundle)
    is_header = _HEADER in call.request.headers
    key = _key(call.request) if is_header else _identifier(bundle)
    if not key and "meta" not in bundle and not told:
        return None
    sender = sender_of(call.caller, _resources(bundle))
    # Who signs the same anew, as each attempt may, sends the same.
    unsigned = {name: value for name, value in bundle.items() if name != "signature"}
    digest = _digest(call.request, unsigned) if key else b""
    where = "" if is_header else "Bundle.identifier"
    findings = _tells_findings(call)
    return Push(sender, key, digest, kind, where=where, tells_findings=findings, told=told)


def _tells_findings(call: Call) -> bool:
    return preferred(call) == "OperationOutcome"


def _key(request: Request) -> str:
    key = request.headers[_HEADER]
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"Idempotency-Key holds 1 to {_KEY_MAX} visible characters of ASCII, such as a UUID.",
            vi=f"Idempotency-Key gồm 1 đến {_KEY_MAX} ký tự ASCII hiển thị được, như một UUID.",
        )
    return key


def _identifier(bundle: Mapping[str, Any]) -> str:
    """`system|value`, or "" where there is no value."""
    identifier = bundle.get("identifier")
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(identifier, dict) or not isinstance(value, str):
        return ""
    key = f"{identifier.get('system', '')}|{value}"
    if len(key) > _KEY_MAX:
        raise Invalid(
            "The identifier of a transaction or batch is the key under which it is stored once: "
            f"system and value together have at most {_KEY_MAX - 1} characters.",
            vi="identifier của transaction hay batch là khóa để chỉ lưu một lần: system và value "
            f"gộp lại tối đa {_KEY_MAX - 1} ký tự.",
            expression=("Bundle.identifier",),
        )
    return key


def _resources(bundle: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield bundle
    for entry in bundle.get("entry", ()):
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _digest(request: Request, content: Any) -> bytes:
    """Of the method, the address, the conditions, the content and the header X-Provenance: blanks
    and the order of keys do not count in what is JSON."""
    conditions = [request.headers.get(name) for name in _CONDITIONS]
    kind = request.headers.get("content-type") if request.method == _PATCH else None
    asked = [request.method, request.path, request.query, conditions, kind, content]
    header = provenance.in_header(request.headers)
    asked += [header] if header is not None else []
    digest = blake2b(json.write_sorted(asked), digest_size=_DIGEST_BYTES)
    if content is None:
        digest.update(request.body)
    if request.upload is not None:
        digest.update(request.upload.sha256)
    return digest.digest()
