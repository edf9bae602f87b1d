"""A resident to write and read in the tests of the interactions."""

from decimal import Decimal
from typing import Any

CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"


def resident(number: str = "001174000456", **more: Any) -> dict[str, Any]:
    """A Patient with an ID card number."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": CCCD, "value": number}],
        "name": [{"text": "Phạm Thị Ngọp", "family": "Phạm", "given": ["Thị", "Ngọp"]}],
        "gender": "female",
        "birthDate": "1974-05-20",
        **more,
    }


def weight(patient: str, value: str = "52.50") -> dict[str, Any]:
    """A body weight of the patient (a reference); the value is written as given."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2026-10-05T08:30:00+07:00",
        "valueQuantity": {
            "value": Decimal(value),
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }
