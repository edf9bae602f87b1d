"""What encryption at rest costs: of a content by itself, and of writing and reading as a whole.

In this process, without HTTP: two databases of one PostgreSQL, one in clear, one encrypted, written
to and asked by turns. Times are processor time of Python and of PostgreSQL, the least of several
rounds; the ratios are of one run, so that a busy machine matters less.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from campaign import Plan, bundles
from ehr_server import app
from ehr_server.access.caller import LOOPBACK
from ehr_server.call import Request
from ehr_server.fhir import json
from ehr_server.jobs.reindex import keep_up
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.contents import Contents, starter_dictionary
from ehr_server.store.embedded import embedded
from ehr_server.store.keyring import new_master, prepare
from ehr_server.store.migrate import migrate
from harness.figures import table
from harness.processes import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ehr_server.rest.dispatch import Dispatch

HEADINGS = ("what", "in clear", "encrypted", "difference")

_BASE = "http://here/fhir"
_REPEATED = 4_000
_ROUNDS = 7
_TOKENS = 16  # of a resource of the campaign
_WARM = 6  # Bundles that are not counted: what is compiled once is, with them
_PAGE, _PAGES = 200, 20


def section(is_quick: bool) -> str:
    """A table, in markdown."""
    rows = [*_of_contents(), *_of_the_whole(10 if is_quick else 30)]
    return f"### Encryption at rest\n\n{table(HEADINGS, rows)}"


def _of_contents() -> list[tuple[str, ...]]:
    content = _content()
    with tempfile.TemporaryDirectory() as folder, embedded(Path(folder) / "data") as url:
        migrate(url)
        key = new_master()
        prepare(url, key)
        with closing(Store(url, encryption_key=key)) as store:
            clear, sealed = Contents({1: starter_dictionary()}), store.contents
            packed = [clear.pack(content), sealed.pack(content)]
            hashes = list(range(_TOKENS))
            size = f"{len(content)} bytes, {len(packed[0][1])} packed"
            return [
                _row(
                    f"pack a content ({size})",
                    _least(lambda: clear.pack(content)),
                    _least(lambda: sealed.pack(content)),
                ),
                _row(
                    "unpack it",
                    _least(lambda: clear.unpack(*packed[0])),
                    _least(lambda: sealed.unpack(*packed[1])),
                ),
                _row(
                    f"{_TOKENS} tokens of a resource",
                    _least(lambda: list(hashes)),
                    _least(lambda: store.tokens(hashes)),
                ),
            ]


def _of_the_whole(residents: int) -> list[tuple[str, ...]]:
    sent = list(bundles(Plan(residents=residents)))
    with ExitStack() as open_:
        ways = _opened(open_)
        written, read = ([[0.0, 0.0] for _ in ways] for _ in range(2))
        for number, bundle in enumerate(sent):
            request = Request("POST", (), body=json.write(bundle), headers=_JSON)
            # By turns who goes first: it finds the processor's caches cold.
            for at in (0, 1) if number % 2 else (1, 0):
                spent = _spent(ways[at][1], request)
                if number >= _WARM:
                    _add(written[at], spent)
        search = Request("GET", ("Observation",), (("_count", str(_PAGE)),), headers=_JSON)
        for number in range(_PAGES):
            for at in (0, 1) if number % 2 else (1, 0):
                _add(read[at], _spent(ways[at][1], search))
        sizes = [_size(there) for there, _ in ways]
    resources = sum(len(one["entry"]) for one in sent[_WARM:])
    return [
        _row(f"store {resources} resources, each", *(_each(one, resources) for one in written)),
        _row(f"read pages of {_PAGE}, each", *(_each(one, _PAGE * _PAGES) for one in read)),
        (
            "bytes of all contents",
            *(f"{size / 2**10:.0f} KiB" for size in sizes),
            f"{sizes[1] / sizes[0] - 1:+.1%}",
        ),
    ]


def _opened(open_: ExitStack) -> list[tuple[str, Dispatch]]:
    """The URLs of the two databases, and what answers for them."""
    folder = open_.enter_context(tempfile.TemporaryDirectory())
    url = open_.enter_context(embedded(Path(folder) / "data"))
    admin = make_conninfo(url, user="postgres", dbname="postgres")
    ways = []
    for name in ("clear", "encrypted"):
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"create database {name} owner ehr".encode())
        there = make_conninfo(url, dbname=name)
        migrate(there)
        key = new_master() if name == "encrypted" else None
        prepare(there, key)
        store = open_.enter_context(closing(Store(there, encryption_key=key)))
        keep_up(store)
        ways.append((there, app.open_dispatch(store, Settings(), open_)))
    return ways


_JSON = {"content-type": "application/fhir+json"}


def _spent(dispatch: Dispatch, request: Request) -> tuple[float, float]:
    """Seconds of processor time of Python and of PostgreSQL that an answer took."""
    before, own = usage(os.getpid()), time.process_time()
    answer = dispatch.answer(request, LOOPBACK, _BASE)
    spent = time.process_time() - own
    if answer.status != 200:
        raise RuntimeError(f"{request.method}: {answer.status}")
    return spent, (usage(os.getpid()) - before).postgresql_s


def _add(spent: list[float], more: tuple[float, float]) -> None:
    spent[0] += more[0]
    spent[1] += more[1]


def _each(spent: Sequence[float], count: int) -> float:
    return sum(spent) / count * 1e6


def _size(url: str) -> int:
    with psycopg.connect(url) as connection:
        found: Any = connection.execute("select sum(octet_length(content)) from version").fetchone()
    return int(found[0])


def _row(what: str, clear: float, encrypted: float) -> tuple[str, ...]:
    ratio = f" ({encrypted / clear - 1:+.0%})" if clear > 1 else ""
    return what, f"{clear:.1f} µs", f"{encrypted:.1f} µs", f"{encrypted - clear:+.1f} µs{ratio}"


def _least(deed: Callable[[], Any]) -> float:
    """Microseconds of processor time, the least of several rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.process_time()
        for _ in range(_REPEATED):
            deed()
        best = min(best, time.process_time() - start)
    return best / _REPEATED * 1e6


def _content() -> bytes:
    """A resource of the campaign of about 1 kB."""
    several = (entry["resource"] for one in bundles(Plan(residents=2)) for entry in one["entry"])
    return min((json.write(one) for one in several), key=lambda one: abs(len(one) - 1000))
