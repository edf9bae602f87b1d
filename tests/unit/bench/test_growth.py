"""The benchmark of search on fifty residents: the engine finds what a plain look finds."""

from collections import Counter

import psycopg
import pytest

from databases import open_folder
from growth import planted
from growth.ask import Page
from growth.compare import differences
from growth.curve import curve
from growth.explain import Recorder, effort
from growth.load import Loaded, load
from growth.measure import Point, Time, points
from growth.question import Question
from growth.questions import GROUPS, QUESTIONS
from growth.record import Part, places, records
from growth.report import Curve, growing, page, refused, section, wrong
from growth.truth import Answers, truth

_RESIDENTS = 50


@pytest.fixture(scope="module")
def measured(module_database: str) -> dict[str, Point]:
    """Loaded in two steps, as it grows; every question asked."""
    count = sum(
        load(module_database, Part(*span)).resources for span in ((0, 30), (30, _RESIDENTS))
    )
    with psycopg.connect(module_database) as connection:
        assert connection.execute("select count(*) from resource").fetchone() == (count,)
    known = truth(0, 30) + truth(30, _RESIDENTS)
    return {point.name: point for point in points(module_database, known, Time(1, 0.0))}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_what_is_found_is_exact(
    measured: dict[str, Point], question: Question, request: pytest.FixtureRequest
) -> None:
    """https://hl7.org/fhir/R4/search.html"""
    point = measured[question.name]
    if point.refused:
        pytest.skip(point.refused)
    assert point.wrong == ""


def test_what_is_measured_is_there(measured: dict[str, Point]) -> None:
    point = measured["identity card, system and number"]
    assert (point.rows, point.scanned) == (1, ())
    assert point.p99_ms >= point.p50_ms > 0
    assert point.buffers > point.statements > 0


def test_names_are_told_apart_and_everything_is_asked() -> None:
    names = [question.name for question in QUESTIONS]
    assert len(set(names)) == len(names) >= 36
    assert set(GROUPS) >= {"One person", "Observations of everyone", "Chains and _has", "Includes"}


def test_a_longer_list_of_records_begins_with_the_shorter_one() -> None:
    shorter = [record.resources for record in records(Part(0, 60))]
    longer = [record.resources for record in records(Part(0, 120))]
    parts = [
        record.number for share in (0, 1) for record in records(Part(0, 120, 1, share, shares=2))
    ]
    assert longer[: len(shorter)] == shorter
    assert sorted(parts) == list(range(len(longer)))


def test_every_reference_leads_to_a_resource() -> None:
    known = {f"{one['resourceType']}/{one['id']}" for one in places()}
    for record in records(Part(0, 20)):
        own = {f"{one['resourceType']}/{one['id']}" for one in record.resources}
        assert len(own) == len(record.resources)
        assert record.encounter["subject"]["reference"] in own
        assert record.encounter["serviceProvider"]["reference"] in known


def test_rare_things_are_as_many_as_they_say() -> None:
    found: Counter[str] = Counter()
    for one in planted.PLANTS:
        held = sum(number % one.step == one.first for number in range(one.below))
        found[one.put.__name__] = held
    assert found == {
        "_family": 40, "_address": 20, "_station": 60, "_glucose": 30, "_haemoglobin": 20,
        "_pressure": 20, "_rare_code": 30, "_plague": 25,
    }  # fmt: skip


def test_answers_keep_the_first_and_all_that_equal_the_last() -> None:
    """What is not kept cannot be on a page that is looked at."""
    whole, parts = Answers(is_ordered=True), [Answers(is_ordered=True) for _ in range(2)]
    hits = [((at % 300,), f"{at}") for at in range(12_000)]
    whole.add(hits)
    parts[0].add(hits[:5_500])
    parts[1].add(hits[5_500:])
    both = parts[0] + parts[1]
    assert both.total == whole.total == 12_000
    assert sorted(both.hits)[:200] == sorted(hits)[:200]
    assert len(both.hits) < 12_000


def test_a_difference_is_told() -> None:
    """Each of them would pass a comparison of numbers alone, or of sets alone."""
    known = Answers(True, 3, [((1,), "a"), ((1,), "b"), ((2,), "c")])
    none = Answers(False)

    def told(*ids: str, total: int | None = 3, count: int = 2) -> str:
        return differences(Page((ids,), frozenset(), total), count, known, none)

    assert told("a", "b") == told("b", "a") == told("a", "b", total=None) == ""
    assert told("a", "b", total=4) == "a total of 4, not 3"
    assert told("a") == "1 found, not 2"
    assert told("a", "a") == "something twice"
    assert told("a", "x") == "x does not belong there"
    assert told("c", "a") == "another order"
    included = Page((("a", "b"),), frozenset(["z"]), None)
    assert differences(included, 2, known, none) == "1 included, not as they must be"


def test_effort_tells_pages_and_tables_that_are_read_whole(module_database: str) -> None:
    with psycopg.connect(module_database, autocommit=True) as connection:
        recorder = Recorder(connection)
        recorder.execute("set enable_indexscan = off")
        recorder.execute("set enable_bitmapscan = off")
        recorder.execute("select count(*) from rid where id > %s", ("",))
        done = effort(connection, recorder.statements)
        ((count,),) = connection.execute("select count(*) from rid").fetchall()
    assert (done.statements, done.rows, done.scanned) == (1, count, {"rid"})


def test_the_report_tells_what_grows_is_wrong_and_is_refused() -> None:
    loaded = Loaded(60_000, 4.0, 5.0, 2.0)
    found = Curve({1000: _made(10), 64_000: _made(1000)}, {1000: 6, 64_000: 60}, {1000: loaded})
    assert growing(found) == ["grows (10 pages and 7 rows, then 1,000 and 7)"]
    assert wrong(found) == ["odd (another order)"]
    assert refused(found) == ["later (not yet)"]
    assert "83 µs of Python and 33 µs of PostgreSQL" in section(found)


def test_the_page_says_by_what_it_is_made_and_what_is_asked() -> None:
    every = [Point(question.name, refused="not yet") for question in QUESTIONS]
    text = page(Curve({10: every}, {10: 1}), "Machine: none.")
    assert "Made by `python -m bench --search --page`" in text
    assert "Patient/" in text
    assert text.partition("## What is asked")[2].count("\n- ") == len(QUESTIONS)


def test_a_prepared_statement_is_explained_as_it_was_prepared(module_database: str) -> None:
    """The kept plan stays, whatever would be planned by now."""
    statement = "select count(*) from rid where id > %s::text"
    ways = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
    with psycopg.connect(module_database, autocommit=True) as connection:
        recorder = Recorder(connection)
        for setting in ("plan_cache_mode = force_generic_plan", *(f"{way} = off" for way in ways)):
            connection.execute(f"set {setting}".encode())
        for _ in range(7):
            recorder.execute(statement, ("",))
        for setting in ("enable_seqscan = off", *(f"{way} = on" for way in ways)):
            connection.execute(f"set {setting}".encode())
        kept = effort(connection, recorder.statements[-1:])
        recorder.execute(statement, ("",), prepare=False)
        anew = effort(connection, recorder.statements[-1:])
    assert kept.scanned == {"rid"}
    assert anew.scanned == set()


@pytest.mark.slow
def test_databases_grow_and_are_kept() -> None:
    with open_folder() as folder:
        first = curve((10, 20), folder, Time(1, 0.0))
        again = curve((20,), folder, Time(1, 0.0))
    assert set(first.loads) == {10, 20}
    assert again.loads == {}
    assert again.resources[20] == first.resources[20] > first.resources[10]


def _made(buffers: int) -> list[Point]:
    return [
        *(Point(question.name, 1, 1, 1.0, 1.0, 5, 7) for question in QUESTIONS),
        Point("grows", 1, 1, 1.0, 1.0, buffers, 7),
        Point("odd", 1, 1, 1.0, 1.0, 5, 7, wrong="another order"),
        Point("later", refused="not yet"),
    ]
