"""Which URI of a number is written is a setting; all of them are understood whatever it says.

https://hl7.org/fhir/R4/datatypes.html#Identifier.system
"""

import httpx
import pytest

from api.patients import resident
from servers import serving

HL7 = "http://fhir.hl7.org.vn/core/sid/"
MOH = "http://fhir.ehealth.gov.vn/core/sid/"
HIS = "http://his.example.vn/mrn"


@pytest.mark.parametrize(
    ("setting", "written"),
    [
        ("as-sent", ["https://basespecs.vn/NamingSystem/NationalID", f"{HL7}bhxh", HIS]),
        ("hl7-vn", [f"{HL7}cccd", f"{HL7}bhxh", HIS]),
        ("moh", [f"{MOH}national_id", f"{HL7}bhxh", HIS]),
    ],
)
def test_identifiers_are_written_in_the_systems_of_one_guide(
    database: str, setting: str, written: list[str]
) -> None:
    sent = resident(
        identifier=[
            {"system": "https://basespecs.vn/NamingSystem/NationalID", "value": "001174000456"},
            {"system": f"{HL7}bhxh", "value": "0112345678"},
            {"system": HIS, "value": "7"},
        ]
    )
    with (
        serving(database, identifier_systems=setting) as here,
        httpx.Client(base_url=here.fhir) as it,
    ):
        stored = it.post("/Patient", json=sent).json()
        assert [one["system"] for one in stored["identifier"]] == written
        for system in (f"{HL7}cccd", f"{MOH}national_id"):
            asked = {"identifier": f"{system}|001174000456"}
            assert it.post("/Patient/_search", data=asked).json()["total"] == 1
