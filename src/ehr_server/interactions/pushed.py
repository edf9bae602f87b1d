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
    """How a single write was sent, None without a key; `content` as parsed, else the body counts,
    which may be JSON.

    Raises `Invalid` for a key that is none.
    """
    request = call.request
    if request.push is not None or _HEADER not in request.headers:
        return request.push
    sender = sender_of(call.caller, [content if isinstance(content, dict) else None])
    if is_json and request.body:
        content = json.read(request.body, request.depth_max)
    digest = _digest(request, content)
    return Push(sender, _key(request), digest, SINGLE, tells_findings=_tells_findings(call))


def push_of_bundle(call: Call, bundle: dict[str, Any], kind: int) -> Push | None:
    """How a transaction or batch was sent; its sender is what the Bundle says of its source, else
    the first of its resources that does. None where neither that nor a key is given.

    Raises `Invalid` for a key that is none.
    """
    is_header = _HEADER in call.request.headers
    key = _key(call.request) if is_header else _identifier(bundle)
    if not key and "meta" not in bundle:
        return None
    sender = sender_of(call.caller, _resources(bundle))
    digest = _digest(call.request, bundle) if key else b""
    where = "" if is_header else "Bundle.identifier"
    return Push(sender, key, digest, kind, where=where, tells_findings=_tells_findings(call))


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
    """Of the method, the address, the conditions and the content: blanks and the order of keys do
    not count in what is JSON."""
    conditions = [request.headers.get(name) for name in _CONDITIONS]
    kind = request.headers.get("content-type") if request.method == _PATCH else None
    asked = [request.method, request.path, request.query, conditions, kind, content]
    digest = blake2b(json.write_sorted(asked), digest_size=_DIGEST_BYTES)
    if content is None:
        digest.update(request.body)
    if request.upload is not None:
        digest.update(request.upload.sha256)
    return digest.digest()
