"""Each kind of error leaves a key that both records have."""

from typing import Any

import pytest

from ehr_server.identity.blocks import KEPT_MAX, kept, shared, sought
from ehr_server.identity.traits import outline

WARD = "http://ehr-server.org/fhir/vn/StructureDefinition/ward"


def patient(text: str = "Phạm Thị Ngọp", born: str = "1974-03-12", **more: Any) -> dict[str, Any]:
    ward = more.pop("ward", "08995")
    return {
        "resourceType": "Patient",
        "name": [{"text": text}],
        "birthDate": born,
        "address": [{"extension": [{"url": WARD, "valueCoding": {"code": ward}}]}],
        **more,
    }


@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        (patient("Phạm Thị Ngọc"), {"birth-name"}),
        (patient("Phạn Thị Ngọp"), {"birth-given", "given-year-ward"}),
        (patient("Ngọp Phạm Thị"), {"name-year", "name-ward"}),
        (patient("Phạm Ngọp", ward="1"), {"birth-given"}),
        (patient(born="1974-12-03", ward="1"), {"birth-given", "birth-name", "name-year"}),
        (patient(born="1974", ward="1"), {"name-year"}),
        (patient(born="1984-03-12"), {"name-ward"}),
        (patient("Phạm Ngọp", "1974"), {"given-year-ward"}),
        (patient("Lê Văn Nam", "1990-05-06"), set()),
    ],
    ids=range(9),
)
def test_the_key_that_is_left(other: dict[str, Any], kinds: set[str]) -> None:
    found = shared(outline(other), outline(patient()))
    assert found == kinds
    hashes = {hash_ for _, hash_ in sought(outline(other))}
    assert bool(hashes & set(kept(patient()))) == bool(kinds)


def test_about_six_keys_and_never_more_than_some() -> None:
    mother = [{"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": "Lò Thị Pâng"}}]
    assert len(kept(patient())) == 5
    assert len(kept(patient(contact=mother))) == 6
    many = [{"text": f"Nguyễn Văn A{n}"} for n in range(50)]
    assert len(kept(patient(name=many, contact=mother * 20))) <= KEPT_MAX


@pytest.mark.parametrize("empty", [{}, {"name": []}, {"birthDate": "1974-03-12"}])
def test_without_a_name_there_is_no_key(empty: dict[str, Any]) -> None:
    assert kept(empty) == []
    assert sought(outline(empty)) == []


def test_the_most_selective_come_first() -> None:
    assert [kind for kind, _ in sought(outline(patient(born="1974-03-13")))] == [
        "birth-given",
        "birth-name",
        "name-year",
        "name-ward",
        "given-year-ward",
    ]
