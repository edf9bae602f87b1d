"""https://hl7.org/fhir/R4/search.html#reference and https://hl7.org/fhir/R4/search.html#uri"""

from dataclasses import replace
from typing import Any

import pytest

from ehr_server.fhir.bundle import identity
from searching import HERE, Record

covers = pytest.mark.covers

URN = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"


def _observation(id_: str, subject: str | None, **rest: Any) -> dict[str, Any]:
    about = {"subject": {"reference": subject}} if subject else {}
    code = {"text": "x"}
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": code, **about, **rest,
    }  # fmt: skip


RECORD: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "1"},
    {"resourceType": "Patient", "id": "2", "link": [{
        "other": {"reference": "Patient/1"}, "type": "seealso",
    }]},
    _observation("own", "Patient/1"),
    _observation("absolute", f"{HERE}/Patient/1"),
    _observation("version", "Patient/1/_history/3"),
    _observation("elsewhere", "http://there/fhir/Patient/1"),
    _observation("group", "Group/1"),
    _observation("urn", URN),
    _observation("none", None, performer=[{"reference": "Patient/1"}]),
    _observation("named", None, performer=[{"identifier": {"system": "http://x", "value": "5"}}]),
    _observation("about2", "Patient/2", performer=[{"reference": "Patient/1"}]),
    {
        "resourceType": "QuestionnaireResponse",
        "id": "answers",
        "status": "completed",
        "questionnaire": "http://x.org/q|2.0",
    },
    {
        "resourceType": "ValueSet",
        "id": "set",
        "status": "draft",
        "url": "http://x.org/vs",
        "meta": {"profile": ["http://x.org/p|1.0"]},
    },
]  # fmt: skip


@covers("reference", "value")
@covers("uri", "value")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Observation?subject=Patient/1", {"own", "absolute", "version"}),
        (f"Observation?subject={HERE}/Patient/1", {"own", "absolute", "version"}),
        ("Observation?subject=http://there/fhir/Patient/1", {"elsewhere"}),
        (f"Observation?subject={URN}", {"urn"}),
        # an id alone is of any type that the parameter can refer to
        ("Observation?subject=1", {"own", "absolute", "version", "group"}),
        ("Observation?patient=1", {"own", "absolute", "version"}),
        ("Observation?patient=Patient/1", {"own", "absolute", "version"}),
        ("Observation?patient=1,2", {"own", "absolute", "version", "about2"}),
        ("Observation?patient=1&patient=2", set()),
        ("Observation?patient=3", set()),
        # who performed is not whom it is about, though both are in Patient/1's compartment
        ("Observation?performer=Patient/1", {"none", "about2"}),
        ("Observation?patient=2&performer=Patient/1", {"about2"}),
        ("Observation?performer=Patient/2", set()),
        ("Patient?link=Patient/1", {"2"}),
        # the identifier inside a reference
        ("Observation?performer:identifier=http://x|5", {"named"}),
        ("Observation?performer:identifier=5,6", {"named"}),
        ("Observation?performer:identifier=http://y|5", set()),
        # canonicals, with and without their version
        ("QuestionnaireResponse?questionnaire=http://x.org/q", {"answers"}),
        ("QuestionnaireResponse?questionnaire=http://x.org/q|2.0", {"answers"}),
        ("QuestionnaireResponse?questionnaire=http://x.org/q|1.0", set()),
        # uris, the whole of them
        ("ValueSet?url=http://x.org/vs", {"set"}),
        ("ValueSet?url=http://x.org/v", set()),
        ("ValueSet?url=http://x.org/VS", set()),
        ("ValueSet?_profile=http://x.org/p", {"set"}),
        ("ValueSet?_profile=http://x.org/p|1.0", {"set"}),
    ],
)
def test_a_reference_is_found(here: Record, address: str, ids: set[str]) -> None:
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)


@pytest.mark.parametrize(
    ("patients", "search", "ids"),
    [
        (("1",), "", {"own", "absolute", "version", "none", "about2"}),
        (("2",), "", {"about2"}),
        (("1", "2"), "", {"own", "absolute", "version", "none", "about2"}),
        (("1",), "?patient=2", {"about2"}),
        (("2",), "?patient=1", set()),
        (("1",), "?performer=Patient/1", {"none", "about2"}),
        (("3",), "", set()),
        ((), "", set()),
    ],
)
def test_a_compartment_holds_what_refers_to_its_patient(
    here: Record, patients: tuple[str, ...], search: str, ids: set[str]
) -> None:
    """https://hl7.org/fhir/R4/compartmentdefinition-patient.html"""
    query = replace(here.query(f"Observation{search}"), compartment=patients)
    matches = here.run(query).matches
    assert {identity(match.content)[1] for match in matches} == ids
    assert len(matches) == len(ids)


def test_who_performed_is_not_who_it_is_about(here: Record) -> None:
    """https://hl7.org/fhir/R4/search.html#has: by the parameter that is named, whatever the
    compartment that the Observation lies in."""
    performed = {
        "resourceType": "Observation",
        "id": "performed",
        "status": "final",
        "code": {"coding": [{"code": "by-herself"}]},
        "performer": [{"reference": "Patient/performer"}],
    }
    here.put({"resourceType": "Patient", "id": "performer"}, performed)
    assert here.ids("Patient?_has:Observation:patient:code=by-herself") == []
    assert here.ids("Patient?_has:Observation:performer:code=by-herself") == ["performer"]
    assert here.ids("Observation?patient._id=performer") == []
