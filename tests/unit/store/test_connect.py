"""Transactions: their numbers and their locks."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from databases import PostgreSQL
from ehr_server.store.connect import Store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database, pool_size=4)
    yield store
    store.close()


def test_who_waits_for_a_lock_has_the_later_number(store: Store) -> None:
    """Histories go by these numbers, so those of one resource must rise with its versions."""
    numbers: list[int] = []

    def wait_for_both() -> None:
        with store.transaction([1, 2]) as opened:
            numbers.append(opened.tx)

    waiting = threading.Thread(target=wait_for_both)
    with store.transaction([1]):
        waiting.start()
        _until_somebody_waits(store)
        overtaking = threading.Thread(target=lambda: numbers.append(_number(store, [2])))
        overtaking.start()
        overtaking.join()
    waiting.join()
    assert numbers == sorted(numbers)


def test_a_transaction_inside_another_is_refused(store: Store) -> None:
    """Its commit would be that of the outer one."""
    with store.transaction(), pytest.raises(RuntimeError), store.transaction():
        pass


def test_the_horizon_waits_for_a_transaction_in_flight(store: Store) -> None:
    with store.transaction() as opened:
        number = opened.tx
        with ThreadPoolExecutor(1) as beside:
            assert beside.submit(_horizon, store).result() == number
    assert _horizon(store) > number


def test_the_horizon_is_its_own_number_to_a_transaction(store: Store) -> None:
    """What it writes itself is not complete yet."""
    with store.transaction() as opened:
        assert store.horizon(opened.connection) == opened.tx


def test_the_horizon_does_not_wait_for_another_database(
    store: Store, given_postgresql: PostgreSQL
) -> None:
    """Else what was exported once would be exported again while another database is written to."""
    with (
        given_postgresql.database() as url,
        closing(Store(url)) as elsewhere,
        elsewhere.transaction(),
    ):
        with store.transaction() as opened:
            number = opened.tx
        assert _horizon(store) > number


def _horizon(store: Store) -> int:
    with store.connection() as connection:
        return store.horizon(connection)


def _number(store: Store, locks: list[int]) -> int:
    with store.transaction(locks) as opened:
        return opened.tx


def _until_somebody_waits(store: Store) -> None:
    waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with store.connection() as connection:
        while connection.execute(waits).fetchone() == (0,):
            pass
