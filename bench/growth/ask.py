"""Asking the engine in this process: the address parsed, the query found, on one connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import Found, find
from ehr_server.errors import Invalid
from ehr_server.fhir.bundle import identity
from ehr_server.search.parse import parse
from ehr_server.search.rules import Rules
from ehr_server.settings import Settings
from growth.load import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ehr_server.access.find import Match
    from ehr_server.search.query import Query
    from ehr_server.store.connect import Connection, Store

RULES = Rules(Settings().zone, BASE)

_PAGE_KEY = bytes(32)


class Refused(Exception):
    """The engine does not know how to answer yet; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came of a question: ids by page, what was included, the total where it was told."""

    pages: tuple[tuple[str, ...], ...]
    included: frozenset[str]
    total: int | None
    last: str | None = None  # the token of the page that was read last


def query(address: str, page: str | None = None) -> Query:
    """`Patient?name=hoa`, or `Patient/ID/Observation?code=1` in a compartment. Raises `Refused`."""
    path, _, text = address.partition("?")
    *compartment, type_name = path.split("/")
    try:
        asked = parse(type_name, parse_qsl(text, keep_blank_values=True), RULES)
    except Invalid as refusal:
        raise Refused("; ".join(one.text for one in refusal.issues)) from refusal
    except KeyError as refusal:
        raise Refused(f"There is no type {type_name or 'at all'}.") from refusal
    if compartment:
        asked = replace(asked, compartment=(compartment[1],))
    return asked if page is None else replace(asked, page=page)


def run(store: Store, connection: Connection, asked: Query) -> Found:
    """One page, as a request gets it."""
    return find(store, connection, asked, LOOPBACK, _PAGE_KEY)


def read(store: Store, connection: Connection, address: str, pages: int = 1) -> Page:
    """So many pages of the answer, or as many as there are."""
    token, found = None, run(store, connection, query(address))
    first, read_pages = found, [_ids(found.matches)]
    for _ in range(pages - 1):
        if found.next is None:
            break
        token = found.next
        found = run(store, connection, query(address, token))
        read_pages.append(_ids(found.matches))
    return Page(tuple(read_pages), frozenset(_ids(_included(found))), first.total, token)


def _ids(matches: Iterable[Match]) -> tuple[str, ...]:
    return tuple(identity(match.content)[1] for match in matches)


def _included(found: Any) -> Iterable[Match]:
    """What comes along with the matches, as soon as there is such a thing."""
    return getattr(found, "included", ())
