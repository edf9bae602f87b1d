"""What a line asks for."""

from typing import Any

import pytest

from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.intake.entries import Text, changes_of
from ehr_server.intake.ids import ORIGIN
from ehr_server.intake.wish import Wish

KEEP = Wish()
ASSIGN = Wish(ids="assign", source="http://his.example.vn")


def _changes(value: Any, wish: Wish = KEEP, place: str = "a.ndjson:1") -> list[Any]:
    return changes_of(Text(value, json.write(value), place), wish, "http://here/fhir")


def _patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "gender": "female", **more}


def _bundle(*entries: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def test_a_line_is_an_update_under_its_id() -> None:
    (change,) = _changes(_patient(id="a"))
    assert (change.deed, change.identity, change.where) == ("update", ("Patient", "a"), "Patient")


@pytest.mark.parametrize("type", ["document", "message", "history", "transaction-response"])
def test_other_bundles_are_resources(type: str) -> None:
    (change,) = _changes(_bundle(type=type) | {"id": "b"})
    assert change.identity == ("Bundle", "b")


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (5, "Bundle.entry[0]"),
        ({"resource": 5}, "Bundle.entry[0]"),
        ({"request": {"method": "DELETE", "url": "Patient?name=x"}}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "DELETE"}}, "Bundle.entry[0].request.url"),
        ({"resource": _patient()}, "Bundle.entry[0].resource.id"),
        ({"resource": _patient(id=7)}, "Bundle.entry[0].resource.id"),
    ],
)
def test_an_entry_that_cannot_be_understood(entry: Any, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        _changes(_bundle(entry))
    assert refused.value.expression == (place,)


def test_ids_that_are_assigned_follow_from_source_type_and_id() -> None:
    (first,) = _changes(_patient(id="a"), ASSIGN)
    (again,) = _changes(_patient(id="a", gender="male"), ASSIGN, "b.ndjson:7")
    (other,) = _changes(_patient(id="a"), Wish(ids="assign", source="http://other"))
    assert first.id == again.id != other.id
    assert first.resource["id"] == first.id
    (came,) = first.resource["meta"]["extension"]
    assert came == {
        "url": ORIGIN,
        "valueIdentifier": {"system": "http://his.example.vn", "value": "Patient/a"},
    }
    assert first.resource["meta"]["source"] == "http://his.example.vn"


def test_without_an_id_it_follows_from_words_and_place() -> None:
    (first,) = _changes(_patient(), ASSIGN)
    (again,) = _changes(_patient(), ASSIGN)
    (elsewhere,) = _changes(_patient(), ASSIGN, "a.ndjson:2")
    assert first.id == again.id != elsewhere.id


def test_references_follow_and_versions_with_them() -> None:
    (patient,) = _changes(_patient(id="p"), ASSIGN)
    observation = {"resourceType": "Observation", "subject": {"reference": "Patient/p"},
                   "derivedFrom": [{"reference": "Observation/x/_history/2"}],
                   "focus": [{"reference": "http://here/fhir/Patient/p"},
                             {"reference": "http://elsewhere/Patient/p"},
                             {"reference": "#c"}]}  # fmt: skip
    (change,) = _changes(observation, ASSIGN)
    assert change.resource["subject"]["reference"] == f"Patient/{patient.id}"
    assert change.resource["derivedFrom"][0]["reference"].endswith("/_history/2")
    assert not change.resource["derivedFrom"][0]["reference"].startswith("Observation/x/")
    assert [one["reference"] for one in change.resource["focus"]] == [
        f"Patient/{patient.id}",
        "http://elsewhere/Patient/p",
        "#c",
    ]


def test_a_urn_on_a_line_means_the_resource_of_its_type() -> None:
    line = {"resourceType": "Observation", "id": "o",
            "subject": {"reference": "urn:uuid:7", "type": "Patient"},
            "focus": [{"reference": "urn:uuid:7"}]}  # fmt: skip
    (change,) = _changes(line)
    assert change.resource["subject"]["reference"] == "Patient/7"
    assert change.resource["focus"] == [{"reference": "urn:uuid:7"}]


def test_full_urls_within_a_bundle_are_left_to_the_write_path() -> None:
    urn = "urn:uuid:7"
    about = {"resourceType": "Observation", "subject": {"reference": urn}}
    patient, observation = _changes(
        _bundle({"fullUrl": urn, "resource": _patient()}, {"resource": about}), ASSIGN
    )
    assert patient.full_url == urn
    assert observation.resource["subject"]["reference"] == urn


def test_a_delete_is_under_the_id_that_is_assigned() -> None:
    (kept,) = _changes(_patient(id="a"), ASSIGN)
    entry = {"request": {"method": "DELETE", "url": "Patient/a"}}
    (gone,) = _changes(_bundle(entry), ASSIGN)
    assert (gone.deed, gone.id) == ("delete", kept.id)
