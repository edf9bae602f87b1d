"""Which type a Reference refers to. https://hl7.org/fhir/R4/references.html#Reference"""

import pytest

from ehr_server.fhirpath.referred import referred_type

RESOURCE = {"resourceType": "Observation", "contained": [{"resourceType": "Device", "id": "d"}]}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/1"}, "Patient"),
        ({"reference": "Patient/1/_history/3"}, "Patient"),
        ({"reference": "https://elsewhere.vn/fhir/Practitioner/p-1.2"}, "Practitioner"),
        ({"reference": "#d"}, "Device"),
        ({"reference": "#"}, "Observation"),
        ({"reference": "#none", "type": "Device"}, None),
        ({"reference": "urn:uuid:7e57d004-2b97-4e7a-b45f-5387367791cd"}, None),
        ({"reference": "urn:uuid:7e57d004-2b97-4e7a-b45f-5387367791cd", "type": "Group"}, "Group"),
        ({"identifier": {"value": "1"}, "type": "Patient"}, "Patient"),
        ({"reference": "Patient?identifier=1"}, None),
        ({"reference": "Patient/1", "type": "Group"}, "Patient"),
        ({"display": "somebody"}, None),
        ("http://hl7.org/fhir/ValueSet/marital-status", "ValueSet"),
    ],
)
def test_referred_type(reference: object, expected: str | None) -> None:
    assert referred_type(reference, RESOURCE) == expected
