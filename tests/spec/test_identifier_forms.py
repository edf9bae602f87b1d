"""One number in all its spellings and naming systems is one number to the server.

https://hl7.org/fhir/R4/search.html#token. The table of aliases and normal forms: what is stored, by
what it is found, and by what it is not. All numbers are made up.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.errors import Invalid
from ehr_server.identity.forms import keys, sought
from ehr_server.identity.kinds import KINDS
from searching import Record

HL7 = "http://fhir.hl7.org.vn/core/sid"
MOH = "http://fhir.ehealth.gov.vn/core/sid"
HIV = "https://basespecs.vn/NamingSystem"

PEOPLE = {
    "ngop": [
        {"system": f"{HL7}/cccd", "value": "001174000456"},
        {"system": f"{HL7}/bhyt", "value": "GD4010112345678"},
        {"system": f"{HL7}/cmnd", "value": "012345678", "use": "old"},
    ],
    "typed": [{"system": f"{MOH}/national_id", "value": "001 085.012-345"}],
    "wide": [{"system": f"{HIV}/NationalID", "value": "００１３２４０００７８９"}],
    "tail": [{"system": f"{HL7}/bhxh", "value": "0198765432"}],
    "by-number": [{"system": f"{MOH}/insurance_number", "value": "001055000123"}],
    "weber": [{"system": f"{HL7}/passport", "value": "C01X0006"}],
    "smith": [{"system": "http://hl7.org/fhir/sid/passport-USA", "value": "C01X0007"}],
    "newborn": [
        {"system": "http://ehr-server.org/fhir/vn/sid/birth-certificate", "value": "gcs 01/2026"}
    ],
    "unknown": [{"system": "http://ehr-server.org/fhir/vn/sid/temporary", "value": "CC-0001"}],
    "local": [{"system": "http://his.example.vn/mrn", "value": "0112345678"}],
    "broken": [{"system": f"{HL7}/cccd", "value": "01112303122", "use": "old"}],
}

KINDS_OF = "http://terminology.hl7.org/CodeSystem/v2-0203"
NATIONAL = {"coding": [{"system": KINDS_OF, "code": "NI"}]}

RECORD = [
    *(
        {
            "resourceType": "Patient",
            "id": id_,
            "identifier": [one | {"type": NATIONAL} for one in identifiers],
        }
        for id_, identifiers in PEOPLE.items()
    ),
    *(
        {
            "resourceType": "Coverage",
            "id": id_,
            "status": "active",
            "beneficiary": {"reference": "Patient/ngop"},
            "payor": [{"reference": "Patient/ngop"}],
            "identifier": [{"system": f"{HL7}/bhyt", "value": card}],
        }
        for id_, card in (("card-1", "GD4010112345678"), ("card-2", "HT3790112345678"))
    ),
]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        # the personal number by any of its naming systems, and bare
        (f"{HL7}/cccd|001174000456", {"ngop"}),
        (f"{MOH}/national_id|001174000456", {"ngop"}),
        (f"{HIV}/NationalID|001174000456", {"ngop"}),
        ("001174000456", {"ngop"}),
        # as an insurance number, which it is since 15 August 2025 (Decree 188/2025 Article 10)
        (f"{HL7}/bhyt|001174000456", {"ngop"}),
        (f"{HL7}/cccd|001055000123", {"by-number"}),
        # in any spelling, of the search and of the record
        ("001 174 000 456", {"ngop"}),
        (f"{HL7}/cccd|001.174.000.456", {"ngop"}),
        ("００１１７４０００４５６", {"ngop"}),
        (f"{HL7}/cccd|001085012345", {"typed"}),
        ("001085012345", {"typed"}),
        ("001324000789", {"wide"}),
        # the card: all of it, its tail, another card with that tail
        ("GD4010112345678", {"ngop"}),
        ("gd4 01 0112345678", {"ngop"}),
        (f"{MOH}/insurance_number|GD4010112345678", {"ngop"}),
        (f"{HL7}/bhyt|0112345678", {"ngop"}),
        (f"{HL7}/bhxh|0112345678", {"ngop"}),
        ("HT3790112345678", {"ngop"}),
        ("GD4010198765432", {"tail"}),
        # the bare tail is anybody's who has it: of a hospital's own list too
        ("0112345678", {"ngop", "local"}),
        # the former identity card
        ("012345678", {"ngop"}),
        (f"{HL7}/cmnd|012345678", {"ngop"}),
        (f"{HL7}/cccd|012345678", set()),
        # passports, birth certificates, temporary numbers
        ("c01x0006", {"weber"}),
        (f"{MOH}/passport_number|C01X0006", {"weber"}),
        (f"{HL7}/passport|C01X0007", {"smith"}),
        ("http://hl7.org/fhir/sid/passport-USA|C01X0007", {"smith"}),
        ("http://ehr-server.org/fhir/vn/sid/birth-certificate|GCS01/2026", {"newborn"}),
        ("gcs 01/2026", {"newborn"}),
        ("CC-0001", {"unknown"}),
        ("http://ehr-server.org/fhir/vn/sid/temporary|CC-0001", {"unknown"}),
        ("http://ehr-server.org/fhir/vn/sid/temporary|cc-0001", {"unknown"}),
        # a passport of which the country is not known may be of any, others not
        ("http://hl7.org/fhir/sid/passport-KHM|C01X0006", {"weber"}),
        ("http://hl7.org/fhir/sid/passport-KHM|C01X0007", set()),
        # a naming system alone
        (f"{HIV}/PassportNumbers|", {"weber", "smith"}),
        # what is misshapen is found as it is
        (f"{MOH}/national_id|01112303122", {"broken"}),
        ("01112303122", {"broken"}),
        # never another's
        ("001174000457", set()),
        ("|001174000456", set()),
        ("http://his.example.vn/mrn|001174000456", set()),
    ],
)
def test_a_person_is_found(here: Record, asked: str, ids: set[str]) -> None:
    assert set(here.ids(f"Patient?identifier={asked}")) == ids


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("001174000456", {"ngop"}),
        ("001.174.000.456", {"ngop"}),
        ("００１１７４０００４５６", {"ngop"}),
        ("001085012345", {"typed"}),
        ("001 085.012-345", {"typed"}),
        ("001324000789", {"wide"}),
        ("gd4 01 0112345678", {"ngop"}),
        ("0112345678", {"ngop", "local"}),
        ("c01x0006", {"weber"}),
        ("GCS 01/2026", {"newborn"}),
        ("01112303122", {"broken"}),
        ("001174000457", set()),
    ],
)
def test_a_person_is_found_by_the_type_of_a_number(here: Record, asked: str, ids: set[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#token, `:of-type`: the same number as without a type."""
    assert set(here.ids(f"Patient?identifier={asked}")) == ids
    assert set(here.ids(f"Patient?identifier:of-type={KINDS_OF}|NI|{asked}")) == ids
    assert not here.ids(f"Patient?identifier:of-type={KINDS_OF}|MR|{asked}")


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("GD4010112345678", {"card-1"}),
        (f"{HL7}/bhyt|HT3790112345678", {"card-2"}),
        ("0112345678", {"card-1", "card-2"}),
    ],
)
def test_cards_are_told_apart(here: Record, asked: str, ids: set[str]) -> None:
    """A Coverage is one card; a push of the next one must not be taken for it."""
    assert set(here.ids(f"Coverage?identifier={asked}")) == ids


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (f"{HL7}/cccd|O01174000456", "character 1 .* probably 0"),
        (f"{HL7}/cccd|00l174000456", "character 3 .* probably 1"),
        ("O01174000456", "character 1 .* probably 0"),
        (f"{HL7}/bhyt|GD4O10112345678", "character 4 .* probably 0"),
    ],
)
def test_a_letter_for_a_digit_is_named(here: Record, asked: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        here.ids(f"Patient?identifier={asked}")


_SYSTEMS = [None, "", "http://his.example.vn/mrn", *(kind.system for kind in KINDS)]
_VALUES = st.one_of(
    st.text(min_size=1, max_size=20),
    st.text("0123456789 .-oO０１GD", min_size=9, max_size=16),
    st.sampled_from(["001174000456", "GD4010112345678", "0112345678", "012345678", "C01X0006"]),
)


@given(st.sampled_from(_SYSTEMS), _VALUES)
def test_what_is_stored_is_found_as_it_is(system: str | None, value: str) -> None:
    held = set(keys(system, value))
    assert held & set(sought(system or "", value, of_person=True))
    assert held & set(sought(None, value, of_person=True))
    assert held & set(sought(system or "", value, of_person=False))


@given(st.sampled_from(_SYSTEMS), _VALUES, _VALUES)
def test_spaces_and_width_never_lead_to_another_number(
    system: str | None, value: str, other: str
) -> None:
    """Two values that share a key are one number but for spelling."""
    shared = set(keys(system, value)) & set(sought(system or "", other, of_person=False))
    if shared and value.casefold() != other.casefold():
        assert any(key[0] == "number" for key in shared)
