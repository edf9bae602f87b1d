"""Seals over the access log: whatever is done to its rows afterwards is found, and which it was."""

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from ehr_server.store import seals
from ehr_server.store.access_log import Row, Words
from ehr_server.store.connect import Store
from ehr_server.store.journal import Journal


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with closing(Store(database, pool_size=4)) as opened:
        yield opened


def log(store: Store, count: int, comp: int = 1) -> list[Row]:
    """So many rows of a person, each of a request of its own."""
    words = Words(store)
    who, deed = words.number('who {"name":"his"}'), words.number("deed read")
    rows = [
        Row(comp, store.log_id(), who, deed, 200, 1, f"r{n}", f"Patient/{n}") for n in range(count)
    ]
    with Journal(store) as journal:
        for row in rows:
            assert journal.write([row]) is None
    return rows


def change(store: Store, statement: str, *values: object) -> None:
    with psycopg.connect(store.url) as connection:
        assert connection.execute(statement.encode(), values).rowcount > 0


def found(store: Store, head: str = "") -> set[tuple[str, int]]:
    """The faults: their kind, and the id of the row or the number of the seal."""
    return {(one.kind, one.id or one.seal) for one in seals.verify(store, kept=head).faults}


def test_a_log_that_nobody_touched_is_whole(store: Store) -> None:
    log(store, 5)
    assert seals.seal(store) == 5
    log(store, 3, comp=7)
    verdict = seals.verify(store)
    assert (verdict.faults, verdict.seals, verdict.rows, verdict.unsealed) == ((), 1, 5, 3)
    assert seals.seal(store) == 3
    verdict = seals.verify(store)
    assert (verdict.faults, verdict.seals, verdict.rows, verdict.unsealed) == ((), 2, 8, 0)


def test_nothing_new_makes_no_seal(store: Store) -> None:
    log(store, 1)
    assert [seals.seal(store) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize(
    "column", ["status = 404", "count = 9", "request = 'x'", "what = 'Patient/9'", "deed = who"]
)
def test_a_row_that_was_altered_is_named(store: Store, column: str) -> None:
    rows = log(store, 5)
    seals.seal(store)
    change(store, f"update access_log set {column} where id = %s", rows[2].id)
    assert found(store) == {("altered", rows[2].id)}


def test_what_moves_from_one_column_to_the_next_is_an_alteration(store: Store) -> None:
    """A row whose deed no word says is in nobody's list of who looked."""
    rows = log(store, 5)
    seals.seal(store)
    moved = "update access_log set deed = 0, request = request || '|deed read' where id = %s"
    change(store, moved, rows[2].id)
    assert found(store) == {("altered", rows[2].id)}


def test_a_row_that_was_given_to_another_person_is_named(store: Store) -> None:
    rows = log(store, 3)
    seals.seal(store)
    change(store, "update access_log set comp = 3 where id = %s", rows[1].id)
    assert found(store) == {("removed", rows[1].id), ("added", rows[1].id)}


def test_a_row_that_was_removed_is_named(store: Store) -> None:
    rows = log(store, 5)
    seals.seal(store)
    change(store, "delete from access_log where id = %s", rows[3].id)
    assert found(store) == {("removed", rows[3].id)}


def test_a_row_that_was_added_is_named(store: Store) -> None:
    rows = log(store, 5)
    seals.seal(store)
    change(
        store,
        "insert into access_log select 5, id, tx, who, deed, status, count, request, what"
        " from access_log where id = %s",
        rows[0].id,
    )
    assert found(store) == {("added", rows[0].id)}


def test_an_end_that_was_cut_off_is_named(store: Store) -> None:
    rows = log(store, 6)
    seals.seal(store)
    change(store, "delete from access_log where id >= %s", rows[4].id)
    assert found(store) == {("removed", rows[4].id), ("removed", rows[5].id)}


def test_rows_that_were_swapped_are_named(store: Store) -> None:
    rows = log(store, 4)
    seals.seal(store)
    change(
        store,
        "update access_log a set what = b.what from access_log b"
        " where (a.id, b.id) in ((%s, %s), (%s, %s))",
        *(rows[0].id, rows[2].id, rows[2].id, rows[0].id),
    )
    assert found(store) == {("altered", rows[0].id), ("altered", rows[2].id)}


def test_another_caller_put_into_the_directory_is_seen_on_its_rows(store: Store) -> None:
    rows = log(store, 2)
    seals.seal(store)
    change(store, "update access_word set word = 'who {}' where word like 'who%%'")
    assert found(store) == {("altered", row.id) for row in rows}


def test_a_seal_that_was_altered_or_removed_is_named(store: Store) -> None:
    for _ in range(3):
        log(store, 2)
        seals.seal(store)
    change(store, "update access_seal set count = 3 where number = 2")
    assert ("seal", 2) in found(store)
    change(store, "update access_seal set count = 2 where number = 2")
    assert found(store) == set()
    change(store, "delete from access_seal where number = 2")
    assert found(store) == {("seal", 3)}


def test_who_seals_anew_with_the_key_is_found_out_by_a_head_that_was_kept(store: Store) -> None:
    """Someone with the whole database has the secret as well."""
    rows = log(store, 3)
    seals.seal(store)
    newest = seals.head(store)
    assert newest is not None
    kept = newest.mac.hex()
    log(store, 2)
    seals.seal(store)
    assert found(store, kept) == set()  # an older head stays good
    change(store, "delete from access_log where id = %s", rows[1].id)
    change(store, "delete from access_seal")
    seals.seal(store)
    assert found(store) == set()
    assert ("head", 1) in found(store, kept)


def test_what_is_under_way_is_not_sealed_before_it_ends(store: Store) -> None:
    """A transaction has its number before others that end first."""
    rows = log(store, 1)
    with psycopg.connect(store.url) as slow:
        slow.execute("select pg_current_xact_id()")
        slow.execute(
            "insert into access_log select 5, id + 1, pg_current_xact_id()::text::bigint + %s, who,"
            " deed, status, count, request, what from access_log where id = %s",
            (store.tx_offset, rows[0].id),
        )
        later = log(store, 2)
        assert seals.seal(store) == 1
        slow.commit()
    assert seals.seal(store) == 3
    verdict = seals.verify(store)
    assert (verdict.faults, verdict.rows, verdict.unsealed) == ((), 4, 0)
    change(store, "delete from access_log where id = %s", later[0].id)
    assert found(store) == {("removed", later[0].id)}


def test_several_that_seal_at_once_make_one_chain(store: Store) -> None:
    stop = threading.Event()
    others = [Store(store.url, pool_size=2) for _ in range(3)]

    def keep_on(one: Store) -> None:
        while not stop.is_set():
            seals.seal(one)

    threads = [threading.Thread(target=keep_on, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for _ in range(10):
        log(store, 5)
    stop.set()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()
    seals.seal(store)
    verdict = seals.verify(store)
    assert (verdict.faults, verdict.rows, verdict.unsealed) == ((), 50, 0)
