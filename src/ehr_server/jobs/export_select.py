"""What one process needs to know of an export to write parts of it: whom, which, and how much.

https://hl7.org/fhir/uv/bulkdata/export.html#parameters. Made once, by whoever writes parts, from
the ask that is kept with the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.chosen import Choice
from ehr_server.access.entitled import asker
from ehr_server.access.veiled import Veiled, veiled
from ehr_server.definitions.subset import elements, subset
from ehr_server.fhir import json
from ehr_server.packages.searchable import read
from ehr_server.packages.shelf import on_shipped
from ehr_server.search.parse import parse
from ehr_server.search.rules import Rules
from ehr_server.store import cohort
from ehr_server.store.export import PIECE_ROWS, Chunk, Persons, Range, Stretch
from ehr_server.store.packages import stored
from ehr_server.terminology import Terminology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.search.query import Query
    from ehr_server.store.cohort import Cohort
    from ehr_server.store.connect import Connection, Store
    from ehr_server.store.export import Ask, Piece

# A content, and the compartment that it lies in, to the line that is written; None for none.
Render = Callable[[bytes, int], bytes | None]


@dataclass(frozen=True, slots=True)
class Selection:
    """`choice` says which resources, `listed` are the persons if there is a list, `render` makes
    the line of a resource, None: as it is stored. `veiled` is what a policy makes of it."""

    ask: Ask
    choice: Choice
    listed: Cohort | None
    render: Render | None
    veiled: Veiled | None = None

    def resolved(self, connection: Connection, piece: Piece) -> Stretch | Persons:
        """The piece, with the persons that it names."""
        if isinstance(piece, Chunk) and self.listed is not None:
            return cohort.of_chunk(connection, self.listed, piece)
        if isinstance(piece, Range):
            return cohort.of_range(connection, self.ask, piece)
        if isinstance(piece, Stretch):
            return piece
        raise TypeError("a chunk of a list that is not kept")


def selection(store: Store, ask: Ask) -> Selection:
    """What the ask says. Raises `Invalid` for a search that is no longer possible."""
    asked_by = ask.filters.caller
    with store.connection() as connection:
        rules = _rules(store, connection, ask)
    caller = LOOPBACK if asked_by is None else asker(asked_by, store, rules).for_export()
    with store.connection() as connection:
        queries = queries_of(ask.filters.queries, rules)
        types = {*ask.types, *(("Provenance",) if ask.is_associated else ())}
        choice = Choice(connection, {one: queries.get(one, ()) for one in types}, caller, rules)
        listed = cohort.cohort(connection, ask.cohort) if ask.cohort else None
    veil = None if ask.veil is None else veiled(store, ask.veil)
    return Selection(ask, choice, listed, render(ask, veil), veil)


def sparse_leaves(store: Store, ask: Ask) -> set[str]:
    """The leaves of which so little is chosen that one part holds it."""
    selected = selection(store, ask)
    with store.connection() as connection:
        return selected.choice.sparse(connection, PIECE_ROWS)


def queries_of(texts: Sequence[str], rules: Rules) -> dict[str, list[Query]]:
    """Searches such as `Observation?code=x`, by their types. Raises `Invalid`."""
    found: dict[str, list[Query]] = {}
    for text in texts:
        type_name, _, asked = text.partition("?")
        query = parse(type_name, parse_qsl(asked, keep_blank_values=True), rules)
        found.setdefault(type_name, []).append(query)
    return found


def render(ask: Ask, veil: Veiled | None = None) -> Render | None:
    """What becomes of each content before it is written, one step after another: searches looked at
    it as it is stored, elements are those of what a policy leaves."""
    steps: list[Render] = [] if veil is None else [veil.line]
    if ask.elements:
        wanted = elements(ask.elements)
        steps.append(lambda content, _: json.write(subset(json.read_stored(content), wanted)))
    return None if not steps else _chained(steps)


def _chained(steps: Sequence[Render]) -> Render:
    def through_all(content: bytes, comp: int) -> bytes | None:
        line: bytes | None = content
        for step in steps:
            if line is None:
                break
            line = step(line, comp)
        return line

    return steps[0] if len(steps) == 1 else through_all


def _rules(store: Store, connection: Connection, ask: Ask) -> Rules:
    """By what searches are read; no more than that where none are asked for."""
    zone, base = ZoneInfo(ask.filters.zone), ask.filters.base
    if not ask.filters.queries:
        return Rules(zone, base)
    terminology = Terminology(on_shipped(stored(store).layers))
    return Rules(zone, base, parameters=read(connection), terminology=terminology)
