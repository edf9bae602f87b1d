"""What can be searched by, as one process knows it: never older than what it was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ehr_server.search import added
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.store.search_parameters import BUILDING, LIBRARY, Wanted, change, in_use, lock

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Catalog
    from ehr_server.store.connect import Connection

log = logging.getLogger(__name__)


class Searchable:
    """Holds for a process what can be searched by, and reads it anew when it is too old."""

    def __init__(self) -> None:
        self._parameters: Parameters = STANDARD

    def current(self) -> Parameters:
        """What can be searched by as far as this process knows."""
        return self._parameters

    def of(self, connection: Connection, generation: int) -> Parameters:
        """What can be searched by at the generation or a later one."""
        if self._parameters.generation < generation:
            found = read(connection)
            # Of several that read at once the newest stays, so that all go on with the same.
            if self._parameters.generation < found.generation:
                self._parameters = found
                log.info("search parameters: generation %d is taken up", found.generation)
        return self._parameters


def read(connection: Connection) -> Parameters:
    """What can be searched by as the database has it."""
    generation, kept = in_use(connection)
    rows = [added.Row(one.definition, one.state == BUILDING) for one in kept]
    return added.parameters(generation, rows)


def take_in(connection: Connection, catalog: Catalog) -> None:
    """What the packages of the catalog define is in use from now on, and no more than that.

    Part of the transaction that is open. What a SearchParameter resource has defined already stays
    as it is. Raises `Unprocessable` where there are too many.
    """
    lock(connection)
    _, kept = in_use(connection)
    taken = {
        (one.definition.base, one.definition.code): one.source
        for one in kept
        if one.source != LIBRARY
    }
    asked = []
    for one in of_catalog(catalog):
        source = taken.get((one.definition.base, one.definition.code))
        if source is None:
            asked.append(one)
        else:
            log.warning("%s is not used: %s has its code", one.definition.url, source)
    change(connection, {LIBRARY: asked}, added.OF_TYPE_MAX)


def of_catalog(catalog: Catalog) -> list[Wanted]:
    """What the packages of a catalog define: of several with one url the one that is meant by it,
    of two with one code the first; none with faults."""
    found: dict[tuple[str, str], Wanted] = {}
    for url in dict.fromkeys(one.url for one in catalog.all("SearchParameter")):
        artifact = catalog.find("SearchParameter", url)
        resource = artifact.resource() if artifact is not None else {}
        if not resource or added.faults(resource):
            continue
        for one in wanted(resource):
            found.setdefault((one.definition.base, one.definition.code), one)
    return list(found.values())


def wanted(resource: added.Resource) -> list[Wanted]:
    """What a SearchParameter without faults defines."""
    return [Wanted(one, added.needs_index(one)) for one in added.wanted(resource)]
