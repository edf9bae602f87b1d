"""Receipts at rest: old ones are removed, a few of each sender at a time."""

from datetime import timedelta

from ehr_server import clock
from ehr_server.store import receipts
from ehr_server.store.connect import Connection, Store
from ehr_server.store.receipts import SINGLE, WHOLE, Fact, Receipt


def test_receipts_older_than_told_are_forgotten(database: str) -> None:
    store = Store(database)
    now = clock.now()
    try:
        with store.connection() as connection:
            for sender in ("a", "b"):
                for days in range(10):
                    _left(store, connection, sender, days)
            before = now - timedelta(days=4.5)
            assert receipts.forget(connection, before, 3) == 6
            assert receipts.forget(connection, before, 3) == 4
            assert receipts.forget(connection, before, 3) == 0
            assert len(receipts.find(store, connection, "4")) == 2
            assert receipts.find(store, connection, "5") == []
    finally:
        store.close()


def test_a_receipt_is_read_as_it_was_written(database: str) -> None:
    store = Store(database)
    try:
        with store.connection() as connection:
            written = _left(store, connection, "a", 0)
            assert receipts.find(store, connection, "0") == [written]
    finally:
        store.close()


def _left(store: Store, connection: Connection, sender: str, days: int) -> Receipt:
    at = clock.now() - timedelta(days=days)
    earlier = at - timedelta(hours=1)
    facts = (Fact(201, "Patient", "p", 1, at), None, Fact(200, "Observation", "o", 7, earlier))
    left = Receipt(str(days), sender, WHOLE, 7, at, SINGLE, b"digest", list(facts))
    receipts.settle(connection, receipts.row(store, store.sender_number(sender), left), [])
    return left
