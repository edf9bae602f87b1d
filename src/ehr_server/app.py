"""The wiring, top to bottom: what a server process is made of."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ehr_server.interactions.search import PAGE_KEY
from ehr_server.jobs import worker
from ehr_server.jobs.reindex import keep_up
from ehr_server.packages.shelf import Shelf
from ehr_server.rest.dispatch import Dispatch
from ehr_server.rest.routes import INTERACTIONS, RouteTable, found_operations
from ehr_server.search.rules import full_text
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.telemetry import configure
from ehr_server.validation.policy import policy
from ehr_server.validation.rulebook import Rulebook
from ehr_server.web.cors import App, Cors
from ehr_server.web.site import Site


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens one server process; picklable, since processes are spawned."""

    settings: Settings
    database_url: str

    def __call__(self, number: int) -> tuple[App, Callable[[], None]]:
        """The app of process `number`, and what closes it. Process 0 runs the background jobs."""
        configure(self.settings.log_level)
        store = open_store(self.settings, self.database_url)
        store.secret(PAGE_KEY)  # now, not first in a transaction that may be rolled back
        table = RouteTable((*INTERACTIONS, *found_operations()))
        rules = policy(self.settings)
        full_text(self.settings.full_text)  # refused now, not at the first request
        if number == 0:
            keep_up(store)
        shelf = Shelf(store, lambda catalog: Rulebook(catalog, rules))
        shelf.follow()
        site: App = Site(Dispatch(store, self.settings, table, shelf.current, shelf.searchable))
        if self.settings.origins:
            site = Cors(site, self.settings.origins)
        closing: Sequence[Callable[[], None]] = (shelf.close, store.close)
        if number == 0 and not self.settings.no_worker:
            closing = (_start_worker(store, self.settings), *closing)

        def close() -> None:
            for deed in closing:
                deed()

        return site, close


def open_store(settings: Settings, database_url: str) -> Store:
    """The hold on the database that the settings ask for."""
    return Store(
        database_url,
        pool_size=settings.pool_size,
        statement_timeout_ms=settings.statement_timeout_ms,
    )


def _start_worker(store: Store, settings: Settings) -> Callable[[], None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(store, settings, stop), name="worker")
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    return end
