"""The journal of the access log: answers wait for it, so nothing may end it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ehr_server.store.access_log import Row, Words
from ehr_server.store.connect import Store
from ehr_server.store.journal import Journal


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with closing(Store(database, pool_size=2)) as opened:
        yield opened


def test_an_answer_that_cannot_be_let_go_ends_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Else no answer of the process would ever be let go again, and each would hold a thread."""
    words = Words(store)
    who, deed = words.number('who {"name":"his"}'), words.number("deed read")

    def row() -> Row:
        return Row(1, store.log_id(), who, deed, 200, 1, "", "Patient/1")

    def fails(_failure: BaseException | None) -> None:
        raise ValueError("the loop is closed")

    with Journal(store) as journal:
        journal.add([row()], fails)
        assert journal.write([row()]) is None
    assert "an answer was not let go" in caplog.text
