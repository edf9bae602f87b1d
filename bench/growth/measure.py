"""Every question at one size: how long, how many pages, whether exact."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from psycopg.errors import QueryCanceled

from ehr_server.errors import Invalid
from ehr_server.store.connect import Connection, Store
from growth import ask
from growth.compare import differences
from growth.explain import Effort, Recorder, effort
from growth.person import persons
from growth.questions import QUESTIONS
from harness.figures import percentile

if TYPE_CHECKING:
    from growth.person import Person
    from growth.question import Question
    from growth.truth import Truth

_TIMEOUT_MS = 10_000
_WARM = 6  # psycopg prepares a statement when it comes for the sixth time
_LEAST = 3  # runs, however slow


@dataclass(frozen=True, slots=True)
class Time:
    """How long to go on with one question: so many runs, or so many seconds."""

    runs: int = 200
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Point:
    """One question at one size: `rows` of the answer, pages and rows that the database read for it.

    `wrong` is the first difference from the truth, `refused` why there is no answer.
    """

    name: str
    rows: int = 0
    runs: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    buffers: int = 0
    rows_read: int = 0
    statements: int = 0
    scanned: tuple[str, ...] = ()
    wrong: str = ""
    refused: str = ""


def points(url: str, truth: Truth, limit: Time, seed: int = 1) -> list[Point]:
    """All questions, asked of the database at `url`."""
    store = Store(url, pool_size=1, statement_timeout_ms=_TIMEOUT_MS)
    people = persons(seed)
    try:
        with store.connection() as connection:
            return [
                _point(store, connection, question, people, truth, limit) for question in QUESTIONS
            ]
    finally:
        store.close()


def _point(
    store: Store, connection: Connection, question: Question, people: list[Person],
    truth: Truth, limit: Time,
) -> Point:  # fmt: skip
    asked = people if question.is_personal else people[:1]
    addresses = [question.address_for(person) for person in asked]
    try:
        first, wrong, tokens = _compared(store, connection, question, addresses, truth)
        pages = list(zip(addresses, tokens, strict=True))
        times = _times(store, connection, pages, limit)
        done = _effort(store, connection, pages[0])
    except (ask.Refused, Invalid) as refusal:
        return Point(question.name, refused=str(refusal))
    except QueryCanceled:
        return Point(question.name, refused=f"over {_TIMEOUT_MS // 1000} s, stopped")
    p50, p99 = (percentile(times, share) * 1000 for share in (0.5, 0.99))
    return Point(
        question.name, len(first.pages[-1]) + len(first.included), len(times), p50, p99,
        done.buffers, done.rows, done.statements, tuple(sorted(done.scanned)), wrong,
    )  # fmt: skip


def _compared(
    store: Store, connection: Connection, question: Question, addresses: list[str], truth: Truth
) -> tuple[ask.Page, str, list[str | None]]:
    """The first answer, the first difference, and the token of the last page of each."""
    found, wrong = [], ""
    for at, address in enumerate(addresses):
        page = ask.read(store, connection, address, question.pages)
        found.append(page)
        key = question.name, at
        count = ask.query(address)[0].count
        wrong = wrong or differences(page, count, truth.matches[key], truth.included[key])
    return found[0], wrong, [page.last for page in found]


def _times(
    store: Store, connection: Connection, pages: list[tuple[str, str | None]], limit: Time
) -> list[float]:
    """Seconds of each run: the address read, the query planned and run, contents unpacked."""
    deadline = time.perf_counter() + limit.seconds
    times: list[float] = []
    for run in range(limit.runs + _WARM):
        address, token = pages[run % len(pages)]
        start = time.perf_counter()
        ask.run(store, connection, ask.query(address, token))
        end = time.perf_counter()
        times.append(end - start)
        if end > deadline and run >= _LEAST:
            break
    return times[_WARM:] if len(times) > 2 * _WARM else times


def _effort(store: Store, connection: Connection, page: tuple[str, str | None]) -> Effort:
    recorder = Recorder(connection)
    ask.run(store, cast("Connection", recorder), ask.query(*page))
    return effort(connection, recorder.statements)
