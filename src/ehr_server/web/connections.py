"""Connections that do no harm: slow ones, half-open ones, idle ones, and those at the end.

A connection has some seconds to send the head of a request, and a size for it; one that is idle
makes room when there are too many; and when the server stops, what is on its way is answered
first. https://www.rfc-editor.org/rfc/rfc9112.html#name-persistence
"""

import asyncio
import resource
import socket
from typing import Any

import uvicorn

from ehr_server.web.http1 import Http1
from ehr_server.web.tls import Files, context

HEAD_S = 15  # for the head of a request, from its first byte or the beginning of the connection
HEAD_BYTES_MAX = 65_536
KEPT_S = 30  # idle between two requests
LEAVE_S = 1.0  # idle, after the server was told to stop: a request may be on its way
CONNECTIONS_MAX = 2_000  # of one process
_VANISHED_S = 60  # without a sign of the other end, or without it taking anything
_FILES_MAX = 65_536

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Config(uvicorn.Config):
    """How connections are served: by TLS where there are files for it; `is_leaving` once the server
    was told to stop."""

    is_leaving = False
    tls: Files | None = None

    def load(self) -> None:
        super().load()
        self.ssl = context(self.tls) if self.tls else None


class Connection(Http1):
    """One connection of a client."""

    config: Config

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._idle_since = self.loop.time()
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_leaving = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked that is not answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, transport.close)
        if len(self.connections) > CONNECTIONS_MAX:
            self._make_room()
        if self.config.is_leaving:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)
            self._head_bytes += len(data)
        super().data_received(data)
        # What came with the end of the head was its body.
        if self._is_in_head and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._forget_timer()
        super().on_headers_complete()
        if self._is_leaving and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_head = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """The server stops: what was asked is answered, what is about to be asked too."""
        self._is_leaving = True
        if self.is_idle:
            self.loop.call_later(LEAVE_S, self._leave)
        else:
            self.cycle.keep_alive = False

    def _leave(self) -> None:
        if self.is_idle and not self.transport.is_closing():
            self.transport.close()

    def _make_room(self) -> None:
        """The one that is idle for longest goes; if none is, this one."""
        others = (one for one in self.connections if isinstance(one, Connection) and one.is_idle)
        idle = [one for one in others if one is not self and not one.transport.is_closing()]
        if idle:
            min(idle, key=lambda one: one._idle_since).transport.close()
            return
        self.transport.write(_FULL)
        self.transport.close()

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def watch(listening: socket.socket) -> None:
    """Connections taken from this socket end when the other end has vanished, or takes nothing."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _VANISHED_S // 2),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _VANISHED_S * 1000),
    ):
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def allow_files() -> None:
    """As many open files as connections need, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
