"""Transactions: their numbers and their locks."""

import threading
from collections.abc import Iterator

import pytest

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


def _number(store: Store, locks: list[int]) -> int:
    with store.transaction(locks) as opened:
        return opened.tx


def _until_somebody_waits(store: Store) -> None:
    waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with store.connection() as connection:
        while connection.execute(waits).fetchone() == (0,):
            pass
