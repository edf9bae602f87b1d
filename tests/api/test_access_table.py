"""Who may ask for what: the table of callers and requests, each cell asked of a real server.

The table is tests/api/access.txt; docs/reference/access.md is made from it.
"""

from collections.abc import Iterator

import httpx
import pytest

from api import tokens
from api.access_record import CALLERS, FACTS, Record, recorded
from databases import open_folder
from ehr_server.call import Request, Route
from ehr_server.rest.routes import INTERACTIONS, RouteTable, found_operations
from inside import Told
from make_access_page import WAITING, Row, parts
from servers import Server, serving

ROWS = [row for part in parts() for row in part.rows]


@pytest.fixture(scope="module")
def record(module_database: str) -> Iterator[Record]:
    with open_folder() as folder, recorded(module_database, folder) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(module_database: str, record: Record) -> Iterator[Server]:
    """A server of the same record that asks for tokens."""
    with (
        open_folder() as folder,
        serving(
            module_database,
            no_worker="1",
            trusted_proxies="127.0.0.1",
            **tokens.settings(folder),
        ) as server,
    ):
        yield server


def test_every_interaction_and_operation_has_a_row() -> None:
    """A new operation without a row fails here."""
    table = RouteTable((*INTERACTIONS, *found_operations()))
    asked = {_pattern(_route(table, row)) for row in ROWS}
    assert sorted(map(str, {_pattern(one) for one in table.rows()} - asked)) == []


@pytest.mark.parametrize("row", ROWS, ids=[row.request for row in ROWS])
def test_each_caller_is_answered_as_the_table_says(record: Record, row: Row) -> None:
    """And what is refused leaves nothing behind."""
    told = {name: _answer(record, row, name) for name in row.cells if name in CALLERS}
    said = {name: cell for name, cell in row.cells.items() if name in CALLERS}
    assert told == said
    assert {*row.cells} - {*CALLERS} - {"nobody"} <= WAITING


def test_who_brings_no_token_gets_none_of_it(guarded: Server, record: Record) -> None:
    """https://www.rfc-editor.org/rfc/rfc6750#section-3; /metadata alone is for everyone."""
    before = record.here.versions()
    with httpx.Client(base_url=guarded.fhir) as client:
        for number, row in enumerate(ROWS):
            method, _, address = row.request.partition(" < ")[0].partition(" ")
            # Each from an address of its own: one that is refused again and again is slowed.
            headers = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
            answer = client.request(method, f"/{address.lstrip('/')}", json={}, headers=headers)
            told = Told(answer.status_code, answer.content, {}, "")
            assert _cell(told) == row.cells["nobody"], row.request
    assert record.here.versions() == before


@pytest.mark.parametrize("name", ["bv2", "self", "team", "admin", "registrar", "lab"])
def test_over_http_the_cells_are_the_same(guarded: Server, record: Record, name: str) -> None:
    """Of reads, with tokens that are checked: the way in is the same."""
    rows = [one for one in ROWS if one.request.startswith("GET ")]
    rows = [one for one in rows if "<" not in one.request and "{" not in one.request]
    token = tokens.token_for(guarded, **FACTS[name])
    with httpx.Client(base_url=guarded.fhir, headers=tokens.bearer(token)) as client:
        for row in rows[:: len(rows) // 12]:
            answer = client.get(f"/{row.request.partition(' ')[2]}")
            told = Told(answer.status_code, answer.content, {}, answer.headers["Content-Type"])
            assert _cell(told) == row.cells[name], row.request


def _answer(record: Record, row: Row, name: str) -> str:
    asked = record.asked(row.request)
    before = record.here.versions()
    answer = record.here.ask(CALLERS[name], asked.request, asked.body, **asked.headers)
    if answer.status >= 400:
        assert record.here.versions() == before, row.request
    return _cell(answer)


def _cell(answer: Told) -> str:
    if answer.status >= 400:
        return str(answer.status)
    sent = answer.resource or {}
    is_found = sent.get("type") != "searchset" or sent.get("entry")
    return "yes" if is_found else "none"


def _route(table: RouteTable, row: Row) -> Route:
    method, _, address = row.request.partition(" < ")[0].partition(" ")
    path = address.partition("?")[0]
    return table.match(Request(method, tuple(one for one in path.split("/") if one)))[0]


def _pattern(route: Route) -> tuple[str, str, str]:
    return route.interaction, route.method, route.pattern
