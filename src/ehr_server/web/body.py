"""The bodies of requests: read whole by the event loop, inflated in the thread of the deed."""

import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from ehr_server.call import Request
from ehr_server.errors import Invalid, NotSupported, TooLarge, UnsupportedMediaType
from ehr_server.web.streams import coming

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP = {"gzip", "x-gzip"}  # https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
_GZIP_FRAME = 16 + zlib.MAX_WBITS
_SLICE_BYTES = 1 << 16  # what zlib has not read yet it copies: little of it, so that it is little
_MEMBERS_MAX = 10_000  # a file of small blocks has one for each 64 KiB; a million empty ones, 20 s


def framed(headers: Mapping[str, str]) -> None:
    """Raises `NotSupported` for a body in another transfer coding than chunks, which would be read
    as something else: https://www.rfc-editor.org/rfc/rfc9112#section-6.1."""
    coding = headers.get("transfer-encoding", "chunked").strip().lower()
    if coding != "chunked":
        raise NotSupported(
            f"The transfer coding {coding[:40]} is not understood; send chunked, or a length.",
            vi=f"Không hiểu Transfer-Encoding {coding[:40]}; xin gửi chunked hoặc nêu độ dài.",
        )


async def whole(headers: Mapping[str, str], receive: Receive, most: int) -> bytes:
    """The body as it came, of `most` bytes.

    Raises `TooLarge` before or while reading more than that, `UnsupportedMediaType` for a coding
    that is not known, `RequestTimeout`, and `Invalid` when it is cut short.
    """
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    _is_gzip(headers)
    found = bytearray()  # a list of single bytes would take forty times as much
    async for chunk in coming(receive):
        found += chunk
        if len(found) > most:
            raise _too_large(most)
    return bytes(found)


def decoded(request: Request, most: int) -> Request:
    """The request with its body inflated, if it came as gzip.

    Raises `TooLarge` as soon as more than `most` bytes come out, `Invalid` for broken gzip and for
    what follows after it.
    """
    if not request.body or not _is_gzip(request.headers):
        return request
    return replace(request, body=_inflated(request.body, most))


def _is_gzip(headers: Mapping[str, str]) -> bool:
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in _GZIP:
        return True
    if coding in ("identity", ""):
        return False
    raise UnsupportedMediaType(
        f"The coding {coding[:40]} is not understood; send gzip, or as it is.",
        vi=f"Không hiểu dạng nén {coding[:40]}; xin gửi dạng gzip hoặc không nén.",
        headers={"Accept-Encoding": "gzip"},  # RFC 9110, 12.5.3
    )


def _inflated(data: bytes, most: int) -> bytes:
    """All members of a gzip file, one after the other: https://www.rfc-editor.org/rfc/rfc1952."""
    view, found, members = memoryview(data), bytearray(), 1
    member = zlib.decompressobj(_GZIP_FRAME)
    for at in range(0, len(view), _SLICE_BYTES):
        left: bytes | memoryview = view[at : at + _SLICE_BYTES]
        while left:
            if member.eof:
                member, members = zlib.decompressobj(_GZIP_FRAME), members + 1
                if members > _MEMBERS_MAX:
                    raise _broken(f"more than {_MEMBERS_MAX} members")
            try:
                found += member.decompress(left, most + 1 - len(found))
            except zlib.error as error:
                raise _broken(str(error)) from None
            if len(found) > most:
                raise _too_large(most)
            left = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise _broken("it ends too early")
    return bytes(found)


def _broken(why: str) -> Invalid:
    return Invalid(
        f"The body is not valid gzip, as its Content-Encoding says it is: {why}.",
        vi=f"Nội dung không phải gzip hợp lệ như Content-Encoding đã nêu: {why}.",
    )


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {most} bytes; send it in parts.",
        vi=f"Nội dung lớn hơn {most} byte; xin chia nhỏ khi gửi.",
    )
