"""Content that streams through: the event loop moves pieces, threads take and make them.

No connection to the database is held while a slow sender or reader is waited for.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from typing import Any

from ehr_server.call import Stream
from ehr_server.changes.uploads import Upload, too_large
from ehr_server.errors import Invalid, Refusal, RequestTimeout, UnsupportedMediaType
from ehr_server.interactions.binary import MEDIA_TYPE
from ehr_server.rest.dispatch import Dispatch
from ehr_server.store.blobs import PART_BYTES
from ehr_server.store.connect import Collision

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)

_SILENCE_S = 60
_SENT_BYTES = 1 << 16  # at once, for which a reader has that long: a bad link takes 1 kB/s
_FHIR = {"application/fhir+json", "application/json", "text/json", "application/fhir+xml"}
# What senders say who did not say what it is.
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
# Any document may be of these types, and is content, unless it is a Binary.
_XML = {"application/xml", "text/xml"}
_BINARY = re.compile(rb"\s*(?:<\?[^>]{0,200}>\s*)?<Binary\s[^>]{0,200}http://hl7\.org/fhir")


def is_content(method: str, path: tuple[str, ...], headers: Mapping[str, str]) -> bool:
    """Whether the body is the content of a Binary as it is, and no resource."""
    is_there = (method, len(path)) in (("POST", 1), ("PUT", 2)) and path[0] == "Binary"
    kind = _kind(headers)
    return is_there and kind != "" and kind not in _FHIR


def is_read(method: str, path: tuple[str, ...]) -> bool:
    """Whether a Binary is read, which has a type of its own: any may be accepted."""
    is_there = path[:1] == ("Binary",) and method in ("GET", "HEAD")
    return is_there and (len(path) == 2 or (len(path) == 4 and path[2] == "_history"))


class Uploads:
    """Takes the content of Binaries, each in pieces, by the threads of the deeds."""

    def __init__(self, dispatch: Dispatch, threads: Executor) -> None:
        self._dispatch = dispatch
        self._threads = threads

    async def received(
        self, path: tuple[str, ...], headers: Mapping[str, str], receive: Receive
    ) -> Upload:
        """The content, of which all has come. Nothing of it stays where that is refused.

        Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `Unavailable`, and `Invalid`
        when it is cut short.
        """
        settings, run = self._dispatch.settings, asyncio.get_running_loop().run_in_executor
        _check(headers, settings.binary_bytes_max)
        id_ = path[1] if len(path) == 2 else None
        upload = Upload(self._dispatch.store, settings, headers, id_)
        try:
            async for piece in _gathered(receive):
                if not upload.size and _kind(headers) in _XML and _BINARY.match(piece):
                    raise _a_binary_itself()
                await run(self._threads, upload.take, piece)
            declared = headers.get("content-length", "")
            if declared.isdigit() and int(declared) != upload.size:
                raise cut_short()
        except BaseException:
            await asyncio.shield(self.over(upload))
            raise
        return upload

    async def over(self, upload: Upload) -> None:
        """The request is answered: what no version names is removed."""
        run = asyncio.get_running_loop().run_in_executor
        try:
            await run(self._threads, upload.discard)
        except (Refusal, Collision) as error:  # the worker removes it later
            log.warning("content that nobody names was left lying: %s", type(error).__name__)


async def send_stream(send: Send, receive: Receive, stream: Stream, threads: Executor) -> None:
    """Send the body. It ends early, and so the connection does, when the reader has gone or takes
    nothing, or the database is away, or the file."""
    run = asyncio.get_running_loop().run_in_executor
    gone = asyncio.ensure_future(receive())  # after the body of a request, nothing else comes
    try:
        while not gone.done():
            piece = await run(threads, next, stream.pieces, None)
            if piece is None:
                await send({"type": "http.response.body", "body": b""})
                return
            for start in range(0, len(piece), _SENT_BYTES):
                body = piece[start : start + _SENT_BYTES]
                async with asyncio.timeout(_SILENCE_S):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
    except (Refusal, OSError) as error:
        log.warning("an answer was not sent to its end: %s", type(error).__name__)
    finally:
        gone.cancel()
        stream.pieces.close()


async def coming(receive: Receive) -> AsyncIterator[bytes]:
    """What comes of a body, as it comes. Raises `RequestTimeout`, and `Invalid` when it is cut
    short."""
    more = True
    while more:
        try:
            async with asyncio.timeout(_SILENCE_S):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"Nothing of the content came for {_SILENCE_S} seconds; send it again.",
                vi=f"Không nhận được nội dung trong {_SILENCE_S} giây; xin gửi lại.",
            ) from None
        if message["type"] == "http.disconnect":
            raise cut_short()
        yield message.get("body", b"")
        more = message.get("more_body", False)


def cut_short() -> Invalid:
    """The refusal of a body that ended before it should."""
    return Invalid(
        "The connection ended before the body did.",
        vi="Kết nối bị ngắt khi nội dung chưa gửi hết.",
    )


def _check(headers: Mapping[str, str], most: int) -> None:
    """Refuse before anything is taken."""
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise too_large(most)
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType(
            f"Content is taken as it is, not in the coding {coding}; send it without.",
            vi=f"Nội dung được nhận nguyên bản, không nhận dạng nén {coding}.",
        )
    if _kind(headers) in _FORMS or not MEDIA_TYPE.fullmatch(headers["content-type"].strip()):
        raise UnsupportedMediaType(
            "Say by Content-Type what the content is, such as application/pdf, and send nothing "
            "but the content.",
            vi="Xin nêu loại nội dung trong Content-Type, ví dụ application/pdf, và chỉ gửi nội "
            "dung đó.",
        )


async def _gathered(receive: Receive) -> AsyncIterator[bytes]:
    """What comes, gathered to pieces that are worth a thread."""
    waiting = bytearray()  # a list of single bytes would take forty times as much
    async for piece in coming(receive):
        waiting += piece
        if len(waiting) >= PART_BYTES:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _a_binary_itself() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "This is a Binary in XML, not the content of one; send it as application/fhir+xml.",
        vi="Đây là tài nguyên Binary dạng XML, không phải nội dung; xin gửi với loại "
        "application/fhir+xml.",
    )


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
