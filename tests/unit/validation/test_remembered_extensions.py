"""What was decided of an extension holds for its like alone.

https://hl7.org/fhir/R4/extensibility.html#context: where it stands counts, not only what it holds.
"""

from typing import Any

import pytest

from ehr_server.validation.rulebook import Rulebook

FUNDING = "http://ehr-server.org/fhir/vn/StructureDefinition/funding-source"
SYSTEM = "http://ehr-server.org/fhir/vn/CodeSystem/funding-source"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def extension(code: str, display: str = "") -> dict[str, Any]:
    coding = {"system": SYSTEM, "code": code, **({"display": display} if display else {})}
    return {"url": FUNDING, "valueCoding": coding}


def encounter(*extensions: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "extension": list(extensions),
        "status": "planned",
        "class": {"system": ACT, "code": "AMB"},
        "subject": {"display": "a resident"},
    }


def about_it(resource: dict[str, Any], rulebook: Rulebook) -> list[str]:
    return [issue.expression[0] for issue in rulebook.check(resource) if issue.profile == FUNDING]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_code_of_the_list_and_one_that_is_not(times: int) -> None:
    rulebook = Rulebook()
    for _ in range(times):
        assert about_it(encounter(extension("2")), rulebook) == []
        found = about_it(encounter(extension("77")), rulebook)
        assert found
        assert all(place.startswith("Encounter.extension[0]") for place in found)


def test_what_may_stand_in_one_type_may_not_in_another() -> None:
    rulebook = Rulebook()
    for _ in range(2):
        assert about_it(encounter(extension("2")), rulebook) == []
        patient = {"resourceType": "Patient", "extension": [extension("2")]}
        assert about_it(patient, rulebook) == ["Patient.extension[0]"]


def test_one_too_long_to_be_remembered_is_judged_alike() -> None:
    rulebook, long = Rulebook(), "x" * 5_000
    for _ in range(2):
        assert about_it(encounter(extension("2", long)), rulebook) == []
        assert about_it(encounter(extension("77", long)), rulebook)
