"""Binary: content in its own type, or as a resource. https://hl7.org/fhir/R4/binary.html

What comes in another type than FHIR's is the content of a Binary as it is; what goes out is the
content as it is, unless the reader names a type of FHIR.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from ehr_server.call import Answer, Call, Stream
from ehr_server.changes.uploads import CONTEXT
from ehr_server.errors import NotAcceptable
from ehr_server.fhir import json, ranges
from ehr_server.fhir.kept import Kept, inlined, inlined_length, kept_of
from ehr_server.interactions import create as general_create
from ehr_server.interactions import read as general_read
from ehr_server.interactions import update as general_update
from ehr_server.interactions import vread as general_vread
from ehr_server.interactions.wished import Wish, wished
from ehr_server.store import blobs
from ehr_server.store.blobs import PART_BYTES, between

_NAME = r"[A-Za-z0-9!#$&^_.+-]+"
MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?:\s?;\s?{_NAME}=[\x20-\x3a\x3c-\x7e]+)*")

_OCTETS = "application/octet-stream"
_PART_OF_IT = {"_summary", "_elements"}
# What a browser may show: nothing of it runs a script.
_SHOWN = re.compile(r"(?:image/(?!svg)|audio/|video/|text/plain)")
# Whatever was stored, it must not act as a page of this server.
_HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def create(call: Call) -> Answer:
    """As the general create; what came raw is the content of the new Binary."""
    return general_create.create(_given(call))


def update(call: Call) -> Answer:
    """As the general update; what came raw is the content of the next version."""
    return general_update.update(_given(call))


def read(call: Call) -> Answer:
    """The content in its own type, whole or a range of it, or the Binary as a resource."""
    return _shown(call, general_read.read(call))


def vread(call: Call) -> Answer:
    """As `read`, of one version."""
    return _shown(call, general_vread.vread(call))


def _given(call: Call) -> Call:
    """The call with a Binary around what came raw.

    Data is accepted as it is, also in a type of FHIR or JSON, except where it is a Binary itself.
    """
    request = call.request
    if request.resource is not None:
        return call
    resource: dict[str, Any] = {"resourceType": "Binary"}
    if "id" in call.parts:
        resource["id"] = call.parts["id"]
    if request.upload is not None:
        content = request.upload.inline()
    else:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        value = json.read(request.body, request.depth_max) if request.body else {}
        is_fhir = isinstance(value, dict) and "resourceType" in value
        if value == {} or (is_fhir and value["resourceType"] == "Binary"):
            return call
        if not is_fhir and kind in ("", "application/fhir+json"):
            return call  # refused: it is no resource
        content = request.body
    resource["contentType"] = request.headers.get("content-type", _OCTETS).strip()
    if CONTEXT in request.headers:
        resource["securityContext"] = {"reference": request.headers[CONTEXT].strip()}
    if content:
        resource["data"] = b64encode(content).decode()
    return replace(call, request=replace(request, resource=resource))


def _shown(call: Call, answer: Answer) -> Answer:
    """What the general read answers, in the form that is wished for."""
    is_entry = bool(call.request.where)
    is_part = any(name in _PART_OF_IT for name, _ in call.request.query)
    if is_entry or is_part or not isinstance(answer.body, bytes):
        return answer
    headers = {**answer.headers, "Vary": "Accept"}
    resource = json.read_stored(answer.body)
    kept, own_type = kept_of(resource), resource["contentType"]
    wish = wished(call.request, own_type)
    if wish is Wish.CONTENT:
        return _content(call, resource, kept, headers)
    if kept is None:
        return replace(answer, headers=headers)
    if wish is Wish.XML:
        raise NotAcceptable(
            "Content of this size is served in its own type or as application/fhir+json.",
            vi="Nội dung cỡ này được trả theo loại của nó hoặc dạng application/fhir+json.",
        )
    parts = blobs.parts(call.store, resource["id"], kept)
    length = inlined_length(answer.body, kept)
    body = _stream(call, length, inlined(answer.body, parts))
    return replace(answer, body=body, headers=headers)


def _content(
    call: Call, resource: dict[str, Any], kept: Kept | None, headers: dict[str, str]
) -> Answer:
    """200 with the content, 206 with a range of it: https://www.rfc-editor.org/rfc/rfc9110#range.

    Raises `RangeNotSatisfiable`.
    """
    data = b64decode(resource.get("data", ""))
    size = len(data) if kept is None else kept.size
    own_type = resource["contentType"] if MEDIA_TYPE.fullmatch(resource["contentType"]) else _OCTETS
    headers = {**headers, **_HARMLESS, "Accept-Ranges": "bytes"}
    placing = "inline" if _SHOWN.match(own_type) else "attachment"
    headers["Content-Disposition"] = f'{placing}; filename="{resource["id"]}"'
    context = resource.get("securityContext", {}).get("reference", "")
    if context and context.isascii() and context.isprintable():
        headers["X-Security-Context"] = context
    status, (start, end) = 200, (0, size)
    part = ranges.asked(call.request.headers, size) if call.request.method == "GET" else None
    if part is not None:
        status, (start, end) = 206, part
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if kept is None:
        return Answer(status, data[start:end], headers, own_type)
    first, skipped = divmod(start, PART_BYTES)
    pieces = between(blobs.parts(call.store, resource["id"], kept, first), skipped, end - start)
    return Answer(status, _stream(call, end - start, pieces), headers, own_type)


def _stream(call: Call, length: int, pieces: Iterator[bytes]) -> Stream:
    """The first pieces are read now: what is refused, is refused before the answer begins."""
    if call.request.method == "HEAD":
        return Stream(length, _run((), ()))
    first = list(islice(pieces, 2))  # of a resource, what stands before the content, and a part
    return Stream(length, _run(first, pieces))


def _run(first: Iterable[bytes], rest: Iterable[bytes]) -> Generator[bytes, None, None]:
    yield from first
    yield from rest
