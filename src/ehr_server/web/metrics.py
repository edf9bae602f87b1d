"""`/metrics`: what is counted, in the text format of Prometheus, and where requests are counted.

https://prometheus.io/docs/instrumenting/exposition_formats/. Any of several processes tells the
counts of all; what the database knows is asked at each scrape.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ehr_server import clock, metrics
from ehr_server.call import Request
from ehr_server.errors import Refusal
from ehr_server.rest.routes import RouteTable
from ehr_server.settings import counts_folder
from ehr_server.store import figures
from ehr_server.store.connect import Store
from ehr_server.web.fhir_endpoint import Receive, Scope, Send

CONTENT_TYPE = CONTENT_TYPE_LATEST

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_REFRESH_S = 5
_CUT = "cut"  # the status of a request whose sender went away before it was answered


class Counted:
    """An ASGI app whose requests are counted; it costs 9 µs each, 13 where several
    processes share what they count."""

    def __init__(self, app: App, table: RouteTable, below: str) -> None:
        self._app = app
        self._table = table
        self._below = below
        self._made: dict[tuple[str, str], Callable[[float], None]] = {}

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        begun = clock.ticks_ms()
        status, in_bytes, out_bytes = _CUT, 0, 0

        async def received() -> Scope:
            nonlocal in_bytes
            message = await receive()
            in_bytes += len(message.get("body", b""))
            return message

        async def sent(message: Scope) -> None:
            nonlocal status, out_bytes
            if "status" in message:
                status = f"{message['status'] // 100}xx"
            else:
                out_bytes += len(message.get("body", b""))
            await send(message)

        metrics.in_flight.inc()
        try:
            await self._app(scope, received, sent)
        finally:
            metrics.in_flight.dec()
            self._observe(self._name(scope), status)((clock.ticks_ms() - begun) / 1000)
            if in_bytes:
                metrics.received.inc(in_bytes)
            if out_bytes:
                metrics.sent.inc(out_bytes)

    def _observe(self, name: str, status: str) -> Callable[[float], None]:
        made = self._made.get((name, status))
        if made is None:
            made = self._made[name, status] = metrics.requests.labels(name, status).observe
        return made

    def _name(self, scope: Scope) -> str:
        """The interaction or operation that the address names, "none" where it names none: a word
        of the route table, so that their number is bounded."""
        segments = scope["path"].removeprefix(self._below).split("/")
        try:
            path = tuple(unquote(one) for one in segments if one)
            route, _ = self._table.match(Request(scope["method"], path))
        except Refusal:
            return "none"
        return route.interaction.rpartition("/")[2]


def exposition(store: Store) -> bytes:
    """Everything that is counted, and what the database says of itself."""
    folder = counts_folder()
    registry: CollectorRegistry = REGISTRY
    if folder is not None:
        _forget_dead(folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    asked = CollectorRegistry()
    asked.register(_Asked(store))
    return generate_latest(registry) + generate_latest(asked)


def follow(store: Store, opened: ExitStack) -> None:
    """Keep the figures of this process up to date until `opened` is closed."""
    stop = threading.Event()

    def refresh() -> None:
        while True:
            for state, count in store.pooled().items():
                metrics.pool.labels(state).set(count)
            metrics.memory.set(_resident_bytes())
            metrics.processor.set(time.process_time())
            if stop.wait(_REFRESH_S):
                return

    thread = threading.Thread(target=refresh, name="metrics", daemon=True)
    thread.start()
    opened.callback(thread.join)
    opened.callback(stop.set)


class _Asked:
    """What is asked of the database at a scrape; only `ehr_database_up 0` when it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("ehr_database_up", "Whether the database answers.")
        found = figures.figures(self._store)
        up.add_metric([], 1 if found else 0)
        yield up
        if found is None:
            return
        size = GaugeMetricFamily("ehr_database_bytes", "Size of the database on its disk.")
        size.add_metric([], found.size_bytes)
        yield size
        jobs = GaugeMetricFamily("ehr_jobs", "Background jobs.", labels=("kind", "state"))
        for kind, state, count in found.jobs:
            jobs.add_metric([kind, state], count)
        yield jobs


def _forget_dead(folder: Path) -> None:
    """Gauges of a process that died would be added up for ever; its counters stay, and should."""
    for path in folder.glob("gauge_live*.db"):
        pid = path.stem.rpartition("_")[2]
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, ValueError):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: the most there was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
