"""The wiring, top to bottom: what a server process is made of."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from ehr_server import sealing
from ehr_server.access.policies import policies
from ehr_server.jobs import deferred, worker
from ehr_server.jobs.reindex import keep_up
from ehr_server.packages.shelf import Shelf
from ehr_server.rest.dispatch import Dispatch
from ehr_server.rest.routes import INTERACTIONS, RouteTable, found_operations
from ehr_server.search.rules import full_text
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.deferred import KIND
from ehr_server.store.journal import Journal
from ehr_server.store.seals import keep_sealed
from ehr_server.store.trouble import MIB, Room
from ehr_server.telemetry import configure
from ehr_server.validation.policy import policy
from ehr_server.validation.rulebook import Rulebook
from ehr_server.web.cors import App, Cors
from ehr_server.web.hops import Hops
from ehr_server.web.metrics import follow
from ehr_server.web.protection import Protected
from ehr_server.web.rates import Rates
from ehr_server.web.site import Site
from ehr_server.web.throttle import Throttled, limits_of

_END_S = 20


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens one server process; picklable, since processes are spawned."""

    settings: Settings
    database_url: str
    rates: Rates

    def __call__(self, number: int) -> tuple[App, Callable[[], None]]:
        """The app of process `number`, and what closes it. Process 0 runs the background jobs."""
        configure(self.settings.log_level)
        with ExitStack() as opened:
            store = open_store(self.settings, self.database_url)
            opened.callback(store.close)
            dispatch = open_dispatch(store, self.settings, opened)
            if not self.settings.no_metrics:
                follow(store, opened)
            if number == 0:
                keep_up(store)
            if number == 0 and not self.settings.no_worker:
                start_workers(dispatch, opened)
            if self.settings.audit != "off":
                start_sealing(store, opened)
            closing = opened.pop_all()
        return layered(Site(dispatch), self.settings, self.rates), closing.close


def layered(site: App, settings: Settings, rates: Rates) -> App:
    """The site and what stands around it, from within: who asks too often goes no further, is told
    why even by a page of another origin, and is known by the address that proxies say."""
    limits = limits_of(settings, is_open=settings.auth != "required")
    site = Throttled(site, rates, limits, settings.language)
    if settings.origins:
        site = Cors(site, settings.origins)
    site = Protected(site)
    if settings.proxies:
        site = Hops(site, settings.proxies, settings.forwarded_header)
    return site


def open_dispatch(store: Store, settings: Settings, opened: ExitStack) -> Dispatch:
    """What answers requests; it takes up what is loaded until `opened` is closed."""
    store.secret(sealing.KEY)  # now, not first in a transaction that may be rolled back
    table = RouteTable((*INTERACTIONS, *found_operations()))
    rules = policy(settings)
    full_text(settings.full_text)  # refused now, not at the first request
    shelf = Shelf(store, lambda catalog: Rulebook(catalog, rules))
    opened.callback(shelf.close)
    shelf.follow()
    known = policies(settings.policies_dir)
    journal = None
    if settings.audit != "off":
        is_lazy = settings.audit == "lazy"
        journal = opened.enter_context(Journal(store, waits_for_disk=not is_lazy))
    return Dispatch(store, settings, table, shelf.current, shelf.searchable, known, journal)


def open_store(settings: Settings, database_url: str) -> Store:
    """The hold on the database that the settings ask for."""
    least = settings.disk_free_mb_min
    is_watched = least > 0 and settings.database_url is None
    return Store(
        database_url,
        pool_size=settings.pool_size,
        statement_timeout_ms=settings.statement_timeout_ms,
        room=Room(settings.data_dir / "postgres", least * MIB) if is_watched else None,
        encryption_key=settings.encryption_key,
    )


def start_sealing(store: Store, opened: ExitStack) -> None:
    """A thread that seals the access log until `opened` is closed; one of all processes does it at
    a time."""
    stop = threading.Event()
    thread = threading.Thread(target=keep_sealed, args=(store, stop), name="seals", daemon=True)

    def end() -> None:
        stop.set()
        thread.join(_END_S)

    opened.callback(end)
    thread.start()


def start_workers(dispatch: Dispatch, opened: ExitStack) -> None:
    """Two threads that do background jobs until `opened` is closed: one answers requests, with
    connections whose statements may take longer, the other does all else."""
    settings, stop = dispatch.settings, threading.Event()
    unhurried = Store(
        dispatch.store.url,
        pool_size=2,
        statement_timeout_ms=settings.async_timeout_s * 1000,
        encryption_key=settings.encryption_key,
    )
    answer = replace(dispatch, store=unhurried).answer
    kinds = {KIND: partial(deferred.run, answers=answer)}
    # A request that is being answered cannot be stopped. Who ends meanwhile leaves it to another
    # worker, which is what a daemon is for.
    threads = (
        threading.Thread(target=worker.run, args=(dispatch.store, settings, stop), name="worker"),
        threading.Thread(
            target=worker.run, args=(unhurried, settings, stop, kinds), name="answers", daemon=True
        ),
    )

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join(_END_S if thread.daemon else None)
        unhurried.close()

    opened.callback(end)
    for thread in threads:
        thread.start()
