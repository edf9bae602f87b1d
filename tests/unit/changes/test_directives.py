"""Rows of before there were rules: nobody who is narrowed sees them until they are indexed anew."""

import runpy
from collections.abc import Iterator
from contextlib import contextmanager

from api.consents import Look, consent
from api.patients import resident, weight
from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.change import Means
from ehr_server.hashing import person_comp
from ehr_server.jobs.reindex import reindex_now
from ehr_server.layout import folder
from ehr_server.store import merged
from ehr_server.validation.rulebook import Rulebook
from searching import HERE, Record, record


@contextmanager
def _old(database: str) -> Iterator[tuple[Record, Look]]:
    """Three people, of whom the first has denied all and the second has withdrawn that, as an older
    program would have left them; a third is another record of the first."""
    with record(database) as here:
        here.put(*({**resident(), "id": id_} for id_ in ("one", "two", "three")))
        here.put(*({**weight(f"Patient/{id_}"), "id": id_} for id_ in ("one", "two", "three")))
        here.put({**consent("one"), "id": "a"})
        here.put({**consent("two"), "id": "b", "status": "inactive"})
        with here.store.connection() as connection, connection.transaction():
            connection.execute("drop table directive")
            connection.execute("update resource set fmt = 5, has = has & ~(3::bigint << 61)")
            (migration,) = (folder("migrations") / "versions").glob("*_directive.py")
            statements = runpy.run_path(str(migration))["STATEMENTS"]
            connection.execute(statements[0])
            merged.join(connection, "three", "one", "p")
            connection.execute("drop table directive")
            connection.execute("drop function directive_denies, directive_opens")
            for statement in statements:
                connection.execute(statement)
        yield here, Look(here)


def test_they_are_hidden_and_each_consent_denies_all_until_it_is_read(database: str) -> None:
    with _old(database) as (here, look):
        assert look.ids("Observation?") == set()
        with here.store.connection() as connection, connection.transaction():
            told = connection.execute("select comp, home from directive").fetchall()
            connection.execute("update resource set fmt = 6")
        one, two, three = (person_comp(id_) for id_ in ("one", "two", "three"))
        assert set(told) == {(one, one), (two, two), (three, one)}
        assert look.ids("Observation?") == set()
        assert look.ids("Patient?") == {"one", "two", "three"}


def test_once_they_are_indexed_anew_they_are_told_as_ever(database: str) -> None:
    with _old(database) as (here, look):
        means = Means(here.store, LOOPBACK, HERE, False, Rulebook(), here.rules)
        reindex_now(means, ("Consent", "Observation", "Patient"))
        assert look.ids("Observation?") == {"two"}
