"""A small record to search in: resources in, ids out, through the real write path and database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import Found, find
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Means
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.search.parse import parse
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules
from ehr_server.store.connect import Store
from ehr_server.store.keyring import prepare
from ehr_server.terminology import Terminology
from ehr_server.validation.rulebook import Rulebook
from servers import ENCRYPTION_KEY

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
HERE = "http://here/fhir"


class Record:
    """A database that holds what was put into it."""

    def __init__(self, store: Store, terminology: Terminology | None = None) -> None:
        self.store = store
        rulebook = Rulebook()
        known = terminology or rulebook.terminology
        self.rules = Rules(HANOI, HERE, count=1000, terminology=known)
        self._means = Means(store, LOOPBACK, HERE, False, rulebook, self.rules)
        self._key = bytes(32)

    def put(self, *resources: dict[str, Any]) -> None:
        """Store the resources under their ids, all in one transaction."""
        changes = [
            # Through JSON, as resources come: decimals and all.
            Change(
                "update", resource["resourceType"], resource["id"], json.read(json.write(resource))
            )
            for resource in resources
        ]
        apply(self._means, changes)

    def delete(self, type_name: str, id_: str) -> None:
        apply(self._means, [Change("delete", type_name, id_)])

    def ids(self, address: str) -> list[str]:
        """The ids that a search such as `Patient?name=hoa` finds, in order, of all its pages."""
        query, found = self.query(address), []
        while True:
            page = self.run(query)
            found += [identity(match.content)[1] for match in page.matches]
            if page.next is None:
                return found
            query = replace(query, page=page.next)

    def query(self, address: str) -> Query:
        """The query of an address. Raises as `search.parse` does."""
        type_name, _, text = address.partition("?")
        return parse(type_name, parse_qsl(text, keep_blank_values=True), self.rules)

    def run(self, query: Query) -> Found:
        """One page."""
        with self.store.connection() as connection:
            return find(self.store, connection, query, LOOPBACK, self._key)


@contextmanager
def record(database: str, terminology: Terminology | None = None) -> Iterator[Record]:
    """A record in the database; `terminology` for searches by value sets."""
    prepare(database, ENCRYPTION_KEY)
    store = Store(database, pool_size=2, encryption_key=ENCRYPTION_KEY)
    try:
        yield Record(store, terminology)
    finally:
        store.close()
