"""The catalog of one process: what is shipped and what is loaded, swapped whole when it changes.
And what can be searched by, which changes in the same way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from ehr_server.definitions.catalog import Artifact, Catalog, shipped
from ehr_server.errors import Unavailable
from ehr_server.packages.searchable import Searchable
from ehr_server.store.packages import generations, stored
from ehr_server.store.search_parameters import generation

if TYPE_CHECKING:
    from ehr_server.store.connect import Store

log = logging.getLogger(__name__)

Made = TypeVar("Made")

_RETRY_S = 1


def on_shipped(layers: Mapping[str, Iterable[Artifact]]) -> Catalog:
    """The catalog of these packages, lowest first, above what is shipped."""
    catalog = shipped()
    for label, artifacts in layers.items():
        catalog = catalog.plus(label, artifacts)
    return catalog


class Shelf(Generic[Made]):
    """Holds for a process what is made of the catalog, and makes it anew when the catalog changes;
    so too `searchable`, what can be searched by.

    What was taken before serves on until who took it is done with it. Raises `Unavailable` when
    the database is away as the shelf is made.
    """

    def __init__(self, store: Store, make: Callable[[Catalog], Made]) -> None:
        self._store = store
        self._make = make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="packages", daemon=True)
        self._generation, self._made = self._taken()
        self.searchable = Searchable()
        with store.connection() as connection:
            self.searchable.of(connection, generation(connection))

    def current(self) -> Made:
        """What is made of the catalog as it is now."""
        return self._made

    def follow(self) -> None:
        """From now on take up what is loaded, until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Take up nothing more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _taken(self) -> tuple[int, Made]:
        found = stored(self._store)
        return found.generation, self._make(on_shipped(found.layers))

    def _watch(self) -> None:
        for loaded, searched in generations(self._store.url, self._stop):
            if loaded != self._generation or searched > self.searchable.current().generation:
                self._take_up(loaded, searched)

    def _take_up(self, loaded: int, searched: int) -> None:
        while not self._stop.is_set():
            try:
                with self._store.connection() as connection:
                    self.searchable.of(connection, searched)
                if loaded != self._generation:
                    self._generation, self._made = self._taken()
                    log.info("packages: generation %d is taken up", self._generation)
                return
            except Unavailable as error:
                log.warning("packages: the database is away: %s", error)
                self._stop.wait(_RETRY_S)
            except Exception:  # what was valid before serves on, until the next change
                log.exception("packages: what was loaded cannot be taken up")
                return
