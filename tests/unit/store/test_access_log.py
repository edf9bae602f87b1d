"""Rows of the access log: their numbers, and the words in their place."""

from contextlib import closing
from datetime import UTC, datetime

import psycopg

from ehr_server.access.audit_event import key_of
from ehr_server.store.access_log import Words, first_id, nobody
from ehr_server.store.connect import Store


def test_a_row_of_nobody_has_a_number_for_as_long_as_ids_last() -> None:
    """A bigint is of 63 bits and a sign; the moment takes 42 of an id, until 2109."""
    ids = [first_id(datetime(year, 1, 1, tzinfo=UTC)) + 1 for year in (2026, 2040, 2100)]
    comps = [nobody(id_) for id_ in ids]
    assert all(-(2**63) <= comp < 2**63 and comp % 2 == 0 for comp in comps)
    assert len({*comps}) == 3
    assert [key_of(f"log-{id_:016x}") for id_ in ids] == list(zip(ids, comps, strict=True))


def test_a_word_that_is_there_draws_no_further_number(database: str) -> None:
    """Numbers of words are integers: drawn with each caller that a process has forgotten, or does
    not know yet, they would end."""
    with closing(Store(database, pool_size=1)) as store:
        first = Words(store).number("deed read")
        assert {Words(store).number("deed read") for _ in range(5)} == {first}
        next_ = Words(store).number("deed vread")
    with psycopg.connect(database) as connection:
        row = connection.execute("select last_value from access_word_id_seq").fetchone()
    assert row == (next_,) == (first + 1,)
