"""Above and below in a hierarchy of references: https://hl7.org/fhir/R4/search.html#reference"""

from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers

_PARENTS = {"ward": "house", "bed": "ward", "ring1": "ring2", "ring2": "ring1"}


def _encounter(at: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"at-{at}",
        "status": "finished",
        "class": {"code": "AMB"},
        "location": [{"location": {"reference": f"Location/{at}"}}],
    }


RECORD: list[dict[str, Any]] = [
    {"resourceType": "Location", "id": "house"},
    *(
        {"resourceType": "Location", "id": id_, "partOf": {"reference": f"Location/{parent}"}}
        for id_, parent in _PARENTS.items()
    ),
    *map(_encounter, ("house", "ward", "bed", "ring1")),
]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        pytest.param(
            "Encounter?location:below=Location/house",
            {"at-house", "at-ward", "at-bed"},
            marks=covers("reference", ":below"),
        ),
        ("Encounter?location:below=ward", {"at-ward", "at-bed"}),
        ("Encounter?location:below=bed", {"at-bed"}),
        pytest.param(
            "Encounter?location:above=bed",
            {"at-house", "at-ward", "at-bed"},
            marks=covers("reference", ":above"),
        ),
        ("Encounter?location:above=house", {"at-house"}),
        ("Encounter?location:above=nowhere", set()),
        ("Location?partof:below=ring1", {"ring1", "ring2"}),  # each part of the other
        ("Location?partof:below=house,ring1", {"ward", "bed", "ring1", "ring2"}),
    ],
)
def test_above_and_below_follow_a_hierarchy(here: Record, asked: str, ids: set[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#reference: the one named is meant too."""
    assert set(here.ids(asked)) == ids
