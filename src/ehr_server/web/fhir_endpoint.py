"""The FHIR API as one raw ASGI app, mounted at /fhir: bytes in, bytes out.

A mounted raw app costs 52 µs a request, a FastAPI route 112. The event loop only moves bytes; the
deeds run in threads with plain psycopg, which costs less than its async form.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import unquote

from ehr_server import clock
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.admission.admit import Admission
from ehr_server.call import Answer, Request, Stream
from ehr_server.errors import Invalid, Refusal, Unavailable
from ehr_server.rest.dispatch import Dispatch, refused
from ehr_server.store.access_log import Row
from ehr_server.telemetry import request_id
from ehr_server.web import body as bodies
from ehr_server.web import compress, spool, streams
from ehr_server.web.negotiate import acceptable, asked_once, fields, form, is_file, is_table, styled
from ehr_server.web.throttle import VISITOR
from ehr_server.web.turns import Turns

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ADMITTING = 4  # threads that look at tokens which were not looked at before
_TURN_S = 10  # to wait for a thread
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")

_SINGLE = {
    *(b"authorization", b"content-type", b"idempotency-key", b"if-none-exist"),
    *(b"x-provenance", b"x-purpose-of-use", b"x-purpose-reason", b"x-request-id"),
}


@dataclass(frozen=True, slots=True)
class _Turn:
    """A request that waits for its answer, which the event loop is told of."""

    answer: "asyncio.Future[Answer]"
    request: Request
    scope: Scope
    caller: Caller
    whose: str


class _Leave:
    """Brings answers from threads to the event loop, and tells it that a thread is free: it is
    woken once for all that is ready."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ready: list[tuple[_Turn, Answer | BaseException | None]] = []
        self._lock = Lock()

    def go(self, turn: _Turn, made: Answer | BaseException | None) -> None:
        """The answer of a turn is there, or why there is none; None: its thread is free."""
        with self._lock:
            self._ready.append((turn, made))
            is_asleep = len(self._ready) == 1
        if is_asleep:
            turn.answer.get_loop().call_soon_threadsafe(self._all)

    def _all(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, []
        for turn, made in ready:
            if made is None:
                self._turns.over(turn.whose)
            elif turn.answer.done():  # its sender has gone
                continue
            elif isinstance(made, BaseException):
                turn.answer.set_exception(made)
            else:
                turn.answer.set_result(made)


class FhirEndpoint:
    """The ASGI app of the FHIR base.

    Every request has an id, the sender's own or one of ours, which the answer and the lines of the
    log name: https://hl7.org/fhir/R4/http.html#custom.
    """

    def __init__(self, dispatch: Dispatch, admission: Admission, threads: int) -> None:
        self._dispatch = dispatch
        self._admission = admission
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="deed")
        self._turns = Turns(threads)
        self._leave = _Leave(self._turns)
        # Of its own: a provider that is slow to give its keys keeps no deed from its thread.
        self._admitting = ThreadPoolExecutor(_ADMITTING, thread_name_prefix="admission")
        self._uploads = streams.Uploads(dispatch, self._threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        id_ = headers.get("x-request-id", "")
        id_ = id_ if _REQUEST_ID.fullmatch(id_) else clock.new_id()
        request_id.set(id_)
        shown = {"x-request-id": id_}
        path, body, upload, spooled = _path(scope), b"", None, None
        caller = LOOPBACK.anew()  # as long as nobody knows
        try:
            bodies.framed(headers)
            _said_once(scope["headers"])
            caller = await self._admitted(scope["method"], path, headers)
            if caller.principal is not None and VISITOR in scope:
                scope[VISITOR].name = caller.owner or ""
            query = fields(scope["query_string"].decode("latin-1"))
            if streams.is_content(scope["method"], path, headers):
                upload = await self._uploads.received(path, headers, receive)
            elif spool.is_spooled(scope["method"], path, headers):
                settings = self._dispatch.settings
                spooled = await spool.received(headers, receive, settings, self._threads)
            else:
                body = await bodies.whole(headers, receive, self._dispatch.settings.body_bytes_max)
        except Refusal as refusal:
            request = Request(scope["method"], path, (), headers)
            run = asyncio.get_running_loop().run_in_executor
            refuse = partial(self._refused, request, refusal, caller)
            answer = await run(self._threads, copy_context().run, refuse)
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

    def _refused(self, request: Request, refusal: Refusal, caller: Caller) -> Answer:
        """In a thread: what is told of a request of which no body was taken."""
        told = self._dispatch.turned_away(request, refusal, caller)
        return styled(request, self._dispatch.once_logged(request, *told))

    async def _in_turn(self, request: Request, scope: Scope, caller: Caller) -> Answer:
        """The answer, by the next thread that is free; 503 when none was for long."""
        visitor = scope.get(VISITOR)
        whose = visitor.key if visitor else ""
        if not await self._turns.take(whose, _TURN_S):
            return refused(_busy(), request.language(self._dispatch.settings.language))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        turn = _Turn(answer, request, scope, caller, whose)
        self._threads.submit(copy_context().run, self._take, turn)
        return await turn.answer

    def _take(self, turn: _Turn) -> None:
        """In a thread: the answer goes at once, or is let go by the journal once it is logged."""
        journal, request = self._dispatch.journal, turn.request
        try:
            answer, rows = self._answer(request, turn.scope, turn.caller)
            if journal is None or not rows:
                self._leave.go(turn, answer)
                return

            def logged(failure: BaseException | None) -> None:
                made = answer
                if failure is not None:
                    made = styled(request, self._dispatch.let_go(request, answer, failure))
                self._leave.go(turn, made)

            journal.add(rows, logged)
        except BaseException as error:
            self._leave.go(turn, error)
        finally:
            self._leave.go(turn, None)

    def _answer(self, request: Request, scope: Scope, caller: Caller) -> tuple[Answer, list[Row]]:
        settings = self._dispatch.settings
        try:
            if not _has_own_type(request):
                acceptable(request)
            asked_once(request)
            request = form(bodies.decoded(request, settings.body_bytes_max))
            base_url = settings.public_url or _base_url(scope, request)
        except Refusal as refusal:
            answer, rows = self._dispatch.turned_away(request, refusal, caller)
        else:
            answer, rows = self._dispatch.begun(request, caller, base_url)
        return compress.compressed(request, styled(request, answer)), rows


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


def _said_once(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises `Invalid` where a header that has one value comes twice: a proxy may have gone by the
    other. https://www.rfc-editor.org/rfc/rfc9110#section-5.3"""
    names = [name for name, _ in raw if name in _SINGLE]
    if len(names) > len(set(names)):
        twice = next(name for name in names if names.count(name) > 1).decode()
        raise Invalid(
            f"The header {twice} comes more than once; send it once.",
            vi=f"Tiêu đề {twice} xuất hiện nhiều lần; xin chỉ gửi một lần.",
            expression=("-".join(part.capitalize() for part in twice.split("-")),),
        )


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
