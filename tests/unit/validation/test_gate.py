"""The gate's own traits: what it is given, and that it says yes to ordinary resources."""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.validation.gate import is_valid

_CODE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": "Nhịp tim"}
ORDINARY: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p",
        "meta": {"profile": ["http://example.org/p"], "lastUpdated": "2026-01-01T00:00:00Z"},
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml">Hoa</div>',
        },
        "extension": [{"url": "http://example.org/e", "valueCode": "x"}],
        "identifier": [{"system": "http://example.org/i", "value": "1", "use": "official"}],
        "name": [{"text": "Nguyễn Thị Hoa", "period": {"start": "2001", "end": "2020-05"}}],
        "birthDate": "1990-02-28",
        "_birthDate": {"extension": [{"url": "http://example.org/e", "valueString": "x"}]},
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": _CODE,
        "subject": {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        "valueQuantity": {"value": Decimal("107.50"), "unit": "mmHg"},
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": _CODE,
        "subject": {"reference": "#p"},
        "contained": [{"resourceType": "Patient", "id": "p"}],
    },
    {
        "resourceType": "Parameters",
        "parameter": [{"name": "x", "resource": {"resourceType": "Patient", "id": "p"}}],
    },
]


@pytest.mark.parametrize("resource", ORDINARY, ids=lambda resource: resource["resourceType"])
def test_ordinary_resources_pass_without_a_second_look(resource: dict[str, Any]) -> None:
    assert is_valid(resource)
    assert is_valid(json.read(json.write(resource)))


@pytest.mark.parametrize("value", ["Infinity", "NaN", "-Infinity"])
def test_numbers_that_are_none(value: str) -> None:
    assert not is_valid({**ORDINARY[1], "valueQuantity": {"value": Decimal(value)}})


def test_whole_numbers_of_any_length_that_can_be_read() -> None:
    """The schema engine sees no bounds in a number over 4,300 digits: those are no JSON to us."""
    resource = {"resourceType": "Observation", "status": "final", "code": _CODE}
    for digits in (11, 20, 400, 4_300):
        number = int("9" * digits)
        assert not is_valid({**resource, "valueInteger": number})
        assert not is_valid({**resource, "valueQuantity": {"value": -number}}) or digits == 11
    with pytest.raises(Invalid):
        json.read(b"9" * 4_301)


@pytest.mark.parametrize("resource", [None, [], "Patient", {}, {"resourceType": []}])
def test_what_is_no_resource(resource: Any) -> None:
    assert not is_valid(resource)
