"""A resident to write and read in the tests of the interactions."""

from decimal import Decimal
from itertools import count
from typing import Any

CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"

REVIEWED = {"Prefer": "identity=review"}  # a second holder of a number is stored all the same

# Above every number that a test writes out, so that no order of tests makes the two meet.
_COUNTER = count(500_000)


def fresh_number() -> str:
    """An ID card number that nobody else has: two live records with one number are refused."""
    return f"001174{next(_COUNTER):06d}"


def resident(number: str = "", **more: Any) -> dict[str, Any]:
    """A Patient with an ID card number, of a person nobody knows yet if none is given."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": CCCD, "value": number or fresh_number()}],
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
