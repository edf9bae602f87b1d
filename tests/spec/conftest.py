"""What the tables of search cases share."""

from collections.abc import Iterator

import pytest

from searching import Record, record


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, module_database: str) -> Iterator[Record]:
    """A database that holds the resources of the module, its `RECORD`."""
    with record(module_database) as found:
        found.put(*request.module.RECORD)
        yield found
