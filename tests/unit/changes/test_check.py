"""What the write path decides of an id that is a number: https://hl7.org/fhir/R4/resource.html#id

An id stands in every address, so it must not tell who the person is.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ehr_server.changes.change import Change
from ehr_server.changes.check import may_happen
from ehr_server.errors import Invalid, PreconditionFailed
from ehr_server.store.read import Place, Version

NUMBERS = (
    "001174000456",
    "001-174-000-456",
    "001.174.000456",
    "GD4013987654321",
    "gd-401398765-4321",
)


def update(id_: str, type_name: str = "Patient") -> Change:
    resource = {"resourceType": type_name, "id": id_}
    return Change("update", type_name, id_, resource=resource, where=type_name)


@pytest.mark.parametrize("id_", NUMBERS)
def test_no_patient_is_made_under_a_number(id_: str) -> None:
    with pytest.raises(Invalid, match="let the server give the id") as refusal:
        may_happen([replace(update(id_), where="Bundle.entry[3].resource")])
    assert refusal.value.expression == ("Bundle.entry[3].resource.id",)
    assert id_ not in f"{refusal.value.text}{refusal.value.vi}"


@pytest.mark.parametrize(
    "change",
    [
        update("001174000456", "Observation"),
        update("01kb0b1c2d3e4f5g6h7j8k9m0n"),
        update("his-001174000456"),
        update("0011740004"),
        Change("delete", "Patient", "001174000456", where="Patient"),
    ],
    ids=["another type", "the server's own", "a facility's own", "ten digits", "a delete"],
)
def test_other_ids_are_the_senders_choice(change: Change) -> None:
    may_happen([change])


@pytest.mark.parametrize("id_", NUMBERS)
def test_who_is_there_under_a_number_goes_on_being_updated(id_: str) -> None:
    now = Version(1, 2, 3, datetime(2026, 10, 5, tzinfo=UTC), 0, b"{}")
    change = replace(update(id_), place=Place(1, 2, live=True), now=now)
    may_happen([change])
    with pytest.raises(PreconditionFailed) as refusal:
        may_happen([replace(change, if_none_match=True)])
    assert id_ not in f"{refusal.value.text}{refusal.value.vi}"
