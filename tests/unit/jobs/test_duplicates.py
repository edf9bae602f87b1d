"""When the search for duplicates begins."""

from dataclasses import replace
from pathlib import Path

from ehr_server.jobs import duplicates
from ehr_server.search.rows import FORMAT
from ehr_server.store.connect import Store
from unit.jobs.record import created, put, settings


def test_nothing_is_looked_for_in_an_index_of_an_older_format(store: Store, tmp_path: Path) -> None:
    """Rows of an older one lack what Patients are found by; the look begins once they are new."""
    put(store, created("Patient", "a"))
    watching = replace(settings(tmp_path), duplicates="watch")
    _set_format(store, 0)
    duplicates.keep_up(store, watching)
    assert _jobs(store) == 0
    _set_format(store, FORMAT)
    duplicates.keep_up(store, watching)
    assert _jobs(store) == 1


def _set_format(store: Store, number: int) -> None:
    with store.connection() as connection:
        connection.execute(
            "update setting set value = %s where name = 'index_format'", (str(number),)
        )


def _jobs(store: Store) -> int:
    with store.connection() as connection:
        (number,) = connection.execute(
            "select count(*) from job where kind = 'duplicates'"
        ).fetchone() or (0,)
    return int(number)
