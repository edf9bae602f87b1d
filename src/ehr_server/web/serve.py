"""Server processes: one socket, one or several processes that take from it."""

import asyncio
import multiprocessing
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from types import FrameType
from typing import Any

import uvicorn

from ehr_server import collector
from ehr_server.settings import Settings
from ehr_server.web.connections import KEPT_S, Config, Connection, allow_files, watch
from ehr_server.web.tls import Files, tls_files

_DRAIN_S = 30
_ACCEPT_S = 0.1  # before no more connections are taken


@dataclass(frozen=True, slots=True)
class Listening:
    """Where connections come in, and the files to serve them by TLS, if they are."""

    socket: socket.socket
    tls: Files | None


# Runs in every process: given the number of the process, opens what it needs and returns the app
# to serve and what to call at the end.
Opener = Callable[[int], tuple[Any, Callable[[], None]]]


def serve(settings: Settings, opener: Opener) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was asked and return.

    Prints `ready http://...` (`https://` with a certificate) when all processes take requests.
    `opener` must be picklable. A process that dies is replaced.
    """
    stop = _stop_signal()
    files, host, processes = tls_files(settings), settings.host, settings.workers
    listening = Listening(_listen(host, settings.port), files)
    scheme = "https" if files else "http"
    shown = f"ready {scheme}://{host}:{listening.socket.getsockname()[1]}"
    if processes == 1:
        _run(listening, opener, 0, lambda: print(shown, flush=True))
        return
    context = multiprocessing.get_context("spawn")
    events = [context.Event() for _ in range(processes)]

    def start(number: int) -> BaseProcess:
        process = context.Process(
            target=_child, args=(listening, opener, number, events[number]), daemon=False
        )
        process.start()
        return process

    running = [start(number) for number in range(processes)]
    _tend(running, start, events, stop, shown)
    # Or who connects now waits for nobody until the last process has drained.
    listening.socket.close()
    for process in running:
        process.terminate()
    for process in running:
        process.join()


def _tend(
    running: list[BaseProcess],
    start: Callable[[int], BaseProcess],
    events: list[Event],
    stop: threading.Event,
    shown: str,
) -> None:
    """Say when all are ready; replace those that die; return when told to stop."""
    is_ready = False
    while not stop.wait(0.05 if not is_ready else 0.5):
        if not is_ready and all(event.is_set() for event in events):
            is_ready = True
            print(shown, flush=True)
        for number, process in enumerate(running):
            if process.exitcode is None:
                continue
            if not is_ready:
                sys.exit(f"a server process ended at the start (exit code {process.exitcode})")
            running[number] = start(number)


def _child(listening: Listening, opener: Opener, number: int, ready: Event) -> None:
    _stop_signal()
    _die_with_parent()
    _run(listening, opener, number, ready.set)


def _run(listening: Listening, opener: Opener, number: int, ready: Callable[[], None]) -> None:
    app, close = opener(number)
    collector.settle()
    allow_files()
    config = Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        timeout_keep_alive=KEPT_S,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        proxy_headers=False,  # `hops` reads them, where a proxy is trusted
    )
    config.tls = listening.tls
    try:
        _Server(config, ready).run(sockets=[listening.socket])
    finally:
        close()


class _Server(uvicorn.Server):
    def __init__(self, config: Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._config = config
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._config.is_leaving = True  # connections that are just being made learn of it too
        await asyncio.sleep(_ACCEPT_S)  # those that wait to be accepted would be reset
        await super().shutdown(sockets)


def _stop_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set, instead of ending the process."""
    stop = threading.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    watch(listening)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise OSError(f"--port {port} of {host} cannot be taken: {error.strerror}") from error
    return listening


def _die_with_parent() -> None:
    """A child whose parent was killed drains and ends: the kernel tells it (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
