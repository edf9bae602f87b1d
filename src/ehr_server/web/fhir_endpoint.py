"""The FHIR API as one raw ASGI app, mounted at /fhir: bytes in, bytes out.

A mounted raw app costs 52 µs a request, a FastAPI route 112. The event loop only moves bytes; the
deeds run in threads with plain psycopg, which costs less than its async form.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any
from urllib.parse import unquote

from ehr_server import clock
from ehr_server.access.caller import Caller
from ehr_server.admission.admit import Admission
from ehr_server.call import Answer, Request, Stream
from ehr_server.errors import Invalid, Refusal, Unavailable
from ehr_server.rest.dispatch import Dispatch, refused
from ehr_server.telemetry import request_id
from ehr_server.web import body as bodies
from ehr_server.web import compress, spool, streams
from ehr_server.web.negotiate import acceptable, fields, form, is_file, is_table, styled

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ADMITTING = 4  # threads that look at tokens which were not looked at before
_TURN_S = 10  # to wait for a thread
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


class FhirEndpoint:
    """The ASGI app of the FHIR base.

    Every request has an id, the sender's own or one of ours, which the answer and the lines of the
    log name: https://hl7.org/fhir/R4/http.html#custom.
    """

    def __init__(self, dispatch: Dispatch, admission: Admission, threads: int) -> None:
        self._dispatch = dispatch
        self._admission = admission
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="deed")
        # Of its own: a provider that is slow to give its keys keeps no deed from its thread.
        self._admitting = ThreadPoolExecutor(_ADMITTING, thread_name_prefix="admission")
        self._size = threads
        self._under_way = 0
        self._uploads = streams.Uploads(dispatch, self._threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        id_ = headers.get("x-request-id", "")
        id_ = id_ if _REQUEST_ID.fullmatch(id_) else clock.new_id()
        request_id.set(id_)
        shown = {"x-request-id": id_}
        path, body, upload, spooled = _path(scope), b"", None, None
        try:
            bodies.framed(headers)
            caller = await self._admitted(scope["method"], path, headers)
            query = fields(scope["query_string"].decode("latin-1"))
            if streams.is_content(scope["method"], path, headers):
                upload = await self._uploads.received(path, headers, receive)
            elif spool.is_spooled(scope["method"], path, headers):
                settings = self._dispatch.settings
                spooled = await spool.received(headers, receive, settings, self._threads)
            else:
                body = await bodies.whole(headers, receive, self._dispatch.settings.body_bytes_max)
        except Refusal as refusal:
            request = Request(scope["method"], (), (), headers)
            spoken = request.language(self._dispatch.settings.language)
            answer = styled(request, refused(refusal, spoken))
            await _send(send, answer, {**shown, "connection": "close"})
            return
        request = Request(
            scope["method"],
            path,
            query,
            headers,
            body,
            depth_max=self._dispatch.settings.nesting_max,
            upload=upload,
            spooled=spooled,
        )
        try:
            answer = await self._in_turn(request, scope, caller)
        finally:
            if upload is not None:
                await asyncio.shield(self._uploads.over(upload))
            if spooled is not None:
                spooled.unlink(missing_ok=True)  # if it was refused; else it has been moved
        await _send(send, answer, shown, head_only=scope["method"] == "HEAD")
        if isinstance(answer.body, Stream) and scope["method"] != "HEAD":
            await streams.send_stream(send, receive, answer.body, self._threads)

    async def _admitted(
        self, method: str, path: tuple[str, ...], headers: dict[str, str]
    ) -> Caller:
        """Who calls: known before anything of the body is taken. Raises `Unauthorized`, and
        `Unavailable` where who can tell is away."""
        caller = self._admission.known(method, path, headers)
        if caller is not None:
            return caller
        admit = partial(self._admission.admit, method, path, headers)
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._admitting, copy_context().run, admit)

    async def _in_turn(self, request: Request, scope: Scope, caller: Caller) -> Answer:
        """The answer, by the next thread that is free; 503 when none was for long."""
        work = self._threads.submit(copy_context().run, self._answer, request, scope, caller)
        answer = asyncio.wrap_future(work)
        self._under_way += 1
        try:
            if self._under_way > self._size:
                await asyncio.wait({answer}, timeout=_TURN_S)
                if work.cancel():  # not begun, and it will not be
                    return refused(_busy(), request.language(self._dispatch.settings.language))
            return await answer
        finally:
            self._under_way -= 1

    def _answer(self, request: Request, scope: Scope, caller: Caller) -> Answer:
        settings = self._dispatch.settings
        try:
            if not _has_own_type(request):
                acceptable(request)
            request = form(bodies.decoded(request, settings.body_bytes_max))
            base_url = settings.public_url or _base_url(scope, request)
        except Refusal as refusal:
            answer = refused(refusal, request.language(settings.language))
        else:
            answer = self._dispatch.answer(request, caller, base_url)
        return compress.compressed(request, styled(request, answer))


def _has_own_type(request: Request) -> bool:
    """Whether the deed itself knows the type of its answer, which is not FHIR's."""
    path = request.path
    is_own = streams.is_read(request.method, path) or is_table(path) or is_file(path)
    return request.method == "OPTIONS" or is_own


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; a header that comes twice is joined by a comma, as HTTP allows."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _busy() -> Unavailable:
    return Unavailable(
        f"The server is busy: nobody was free for {_TURN_S} seconds. Nothing was done; try again.",
        vi=f"Máy chủ đang bận: đã chờ {_TURN_S} giây. Chưa có gì được thực hiện; xin thử lại.",
        headers={"Retry-After": "2"},
    )


def _path(scope: Scope) -> tuple[str, ...]:
    """The segments below the base, each decoded on its own, so that %2F stays in its segment."""
    raw: bytes | None = scope.get("raw_path")
    path = raw.split(b"?")[0].decode("latin-1") if raw else scope["path"]
    path = path.removeprefix(scope.get("root_path", ""))
    return tuple(unquote(segment) for segment in path.split("/") if segment)


def _base_url(scope: Scope, request: Request) -> str:
    missing = "localhost" if scope["http_version"] == "1.0" else ""  # RFC 9112, 3.2
    host = request.headers.get("host", missing)
    if not _HOST.fullmatch(host):  # it becomes part of every fullUrl
        raise Invalid(
            "The header Host is not a host name with or without a port.",
            vi="Tiêu đề Host không phải tên máy chủ, có hoặc không có cổng.",
        )
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}"


async def _send(
    send: Send, answer: Answer, more: dict[str, str] | None = None, *, head_only: bool = False
) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in {**answer.headers, **(more or {})}.items()
    ]
    body = answer.body
    if body is not None:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    length = _length(answer)
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if not isinstance(body, Stream) or head_only:
        shown = b"" if head_only or not isinstance(body, bytes) else body
        await send({"type": "http.response.body", "body": shown})


def _length(answer: Answer) -> int | None:
    """What Content-Length says; None where it may not be said, or is not known yet."""
    body = answer.body
    if answer.status in (204, 304):
        return None
    return body.length if isinstance(body, Stream) else len(body or b"")
