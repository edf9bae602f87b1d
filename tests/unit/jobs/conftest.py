"""A store without versions and jobs, on one database for the tests of a module."""

from collections.abc import Iterator

import pytest

from ehr_server.store.connect import Store


@pytest.fixture
def store(module_database: str) -> Iterator[Store]:
    opened = Store(module_database)
    with opened.connection() as connection:
        connection.execute("truncate version, mark, job, job_part")
    yield opened
    opened.close()
