"""Arrays packed at once are the arrays that PostgreSQL reads: `store.arrays`."""

import psycopg
import pytest

from ehr_server.store import write  # noqa: F401 - registers them

_EDGES = [-(2**63), -1, 0, 1, 2**63 - 1]


@pytest.mark.parametrize("several", [[], [7], _EDGES, list(range(1_000))])
def test_an_array_that_was_copied_reads_as_it_was(database: str, several: list[int]) -> None:
    small = [one for one in several if abs(one) < 2**31]
    with psycopg.connect(database) as connection:
        connection.execute("create temporary table t (long bigint[], short integer[])")
        with connection.cursor() as cursor:
            with cursor.copy("copy t from stdin (format binary)") as copy:
                copy.set_types(["int8[]", "int4[]"])
                copy.write_row((several, small))
            row = cursor.execute("select long, short, array_ndims(long) from t").fetchone()
    assert row == (several, small, 1 if several else None)
