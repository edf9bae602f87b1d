"""Asking the engine in this process: the address parsed, the query found, on one connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import Found, find, find_types
from ehr_server.access.include import Included, Reader, included
from ehr_server.errors import Invalid
from ehr_server.fhir.bundle import identity
from ehr_server.search.compartment import narrowed
from ehr_server.search.parse import parse, parse_types
from ehr_server.search.rules import Rules
from ehr_server.settings import Settings
from ehr_server.validation.rulebook import Rulebook
from growth.load import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ehr_server.access.find import Match
    from ehr_server.search.query import Query
    from ehr_server.store.connect import Connection, Store

RULES = Rules(Settings().zone, BASE, terminology=Rulebook().terminology)

_PAGE_KEY = bytes(32)


class Refused(Exception):
    """The engine does not know how to answer yet; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A page, and what comes along with it."""

    found: Found
    further: Included


@dataclass(frozen=True, slots=True)
class Page:
    """What came of a question: ids by page, what was included, the total where it was told."""

    pages: tuple[tuple[str, ...], ...]
    included: frozenset[str]
    total: int | None
    last: str | None = None  # the token of the page that was read last


def query(address: str, page: str | None = None) -> tuple[Query, ...]:
    """`Patient?name=hoa`; `Patient/ID/Observation?code=1`, in a compartment; `?_type=A,B&_tag=x`,
    a query for each type. Raises `Refused`."""
    path, _, text = address.partition("?")
    *inside, type_name = path.split("/")
    pairs = parse_qsl(text, keep_blank_values=True)
    types = [name for key, value in pairs if key == "_type" for name in value.split(",")]
    try:
        if type_name:
            asked = [parse(type_name, pairs, RULES)]
        else:
            asked = parse_types(types, [pair for pair in pairs if pair[0] != "_type"], RULES)
    except Invalid as refusal:
        raise Refused("; ".join(one.text for one in refusal.issues)) from refusal
    if inside:
        asked = [narrowed(one, inside[0], inside[1], RULES) for one in asked]
    return tuple(replace(one, page=page) for one in asked)


def run(store: Store, connection: Connection, asked: Sequence[Query]) -> Answered:
    """One page and what comes along with it, as a request gets them."""
    if len(asked) == 1:
        found = find(store, connection, asked[0], LOOPBACK, _PAGE_KEY)
    else:
        found = find_types(store, connection, asked, LOOPBACK, _PAGE_KEY)
    reader = Reader(store, connection, LOOPBACK, RULES)
    return Answered(found, included(reader, found.matches, asked[0].includes))


def read(store: Store, connection: Connection, address: str, pages: int = 1) -> Page:
    """So many pages of the answer, or as many as there are."""
    token, answered = None, run(store, connection, query(address))
    first, read_pages = answered.found, [_ids(answered.found.matches)]
    along = set(_along(answered))
    for _ in range(pages - 1):
        if answered.found.next is None:
            break
        token = answered.found.next
        answered = run(store, connection, query(address, token))
        read_pages.append(_ids(answered.found.matches))
        along |= set(_along(answered))
    return Page(tuple(read_pages), frozenset(along), first.total, token)


def _ids(matches: Iterable[Match]) -> tuple[str, ...]:
    return tuple(identity(match.content)[1] for match in matches)


def _along(answered: Answered) -> Iterable[str]:
    return (identity(content)[1] for content in answered.further.contents)
