"""The shelf takes up what is loaded, also after the database was away."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ehr_server.definitions.catalog import Catalog
from ehr_server.packages.load import load
from ehr_server.packages.shelf import Shelf
from ehr_server.store.connect import Store
from tarballs import guide, profile, written


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database, pool_size=2)
    yield store
    store.close()


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def packages(catalog: Catalog) -> tuple[str, ...]:
    return catalog.packages[2:]  # without the two that are shipped


def test_what_is_loaded_is_taken_up_and_what_is_taken_serves_on(
    store: Store, tmp_path: Path
) -> None:
    shelf = Shelf(store, packages)
    shelf.follow()
    try:
        assert shelf.current() == ()
        load(store, [written(tmp_path, guide(profile()))])
        assert within(5, lambda: shelf.current() == ("org.example.guide#1.0.0",))
    finally:
        shelf.close()


def test_what_was_loaded_before_is_there_at_once(store: Store, tmp_path: Path) -> None:
    load(store, [written(tmp_path, guide(profile()))])
    shelf = Shelf(store, packages)
    assert shelf.current() == ("org.example.guide#1.0.0",)
    shelf.close()


def test_lost_connections_are_made_again(store: Store, database: str, tmp_path: Path) -> None:
    shelf = Shelf(store, packages)
    shelf.follow()
    try:
        listening = "from pg_stat_activity where query like 'select value::integer%'"
        with psycopg.connect(database, autocommit=True) as connection:

            def is_listening() -> bool:
                count = f"select count(*) {listening} and datname = current_database()"
                row = connection.execute(count).fetchone()
                return row is not None and row[0] > 0

            assert within(5, is_listening)
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and datname = current_database()"
            )
        other = Store(database, pool_size=1)
        load(other, [written(tmp_path, guide(profile()))])
        other.close()
        assert within(20, lambda: shelf.current() == ("org.example.guide#1.0.0",))
    finally:
        shelf.close()


def test_what_cannot_be_made_leaves_what_was_there(store: Store, tmp_path: Path) -> None:
    tried = threading.Event()

    def make(catalog: Catalog) -> int:
        if len(catalog.packages) > 2:
            tried.set()
            raise ValueError("not with this one")
        return len(catalog.packages)

    shelf = Shelf(store, make)
    shelf.follow()
    try:
        load(store, [written(tmp_path, guide(profile()))])
        assert tried.wait(5)
        assert shelf.current() == 2
    finally:
        shelf.close()
    assert not any(thread.name == "packages" for thread in threading.enumerate())


def test_it_closes_in_a_second(store: Store) -> None:
    shelf = Shelf(store, packages)
    shelf.follow()
    began = time.monotonic()
    shelf.close()
    assert time.monotonic() - began < 2
