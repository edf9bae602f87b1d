"""https://hl7.org/fhir/R4/search.html#token"""

import pytest

from searching import Record

covers = pytest.mark.covers

LOINC, SNOMED, LOCAL = "http://loinc.org", "http://snomed.info/sct", "http://benhvien.vn/xn"
CCCD, BHYT = "http://cccd.vn", "http://bhyt.vn"
STATUS = "http://hl7.org/fhir/observation-status"


def _observation(id_: str, *codings: tuple[str | None, str], **rest: object) -> dict[str, object]:
    coding = [{"code": c} if s is None else {"system": s, "code": c} for s, c in codings]
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": coding, "text": "x"},
        **rest,
    }


RECORD = [
    {
        "resourceType": "Patient",
        "id": "hoa",
        "active": True,
        "gender": "female",
        "identifier": [
            {"system": CCCD, "value": "001099000001"},
            {"system": BHYT, "value": "DN4010100000001"},
        ],
        "telecom": [
            {"system": "phone", "value": "(+84) 912-345.678"},
            {"system": "email", "value": "Hoa@Example.org"},
        ],
    },
    {
        "resourceType": "Patient",
        "id": "nam",
        "gender": "male",
        "deceasedDateTime": "2024-01-01",
        "identifier": [{"system": BHYT, "value": "001099000001"}, {"value": "MS-7"}],
        "meta": {
            "tag": [{"system": "http://x.org/t", "code": "vip"}],
            "security": [{"system": "http://x.org/s", "code": "R"}],
            "source": "http://x.org/feed#12",
            "profile": ["http://x.org/p|1.0"],
        },
    },
    _observation("loinc", (LOINC, "718-7")),
    _observation("both", (LOINC, "718-7"), (LOCAL, "HGB")),
    _observation("local", (LOCAL, "HGB"), (LOINC, "718-7"), status="amended"),
    _observation("same", (LOCAL, "718-7"), (LOINC, "718-7")),
    _observation("other", (LOCAL, "718-7")),
    _observation("bare", (None, "718-7")),
    _observation(
        "parts",
        (LOINC, "85354-9"),
        component=[{"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}}],
    ),
]


@covers("token", "value")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # a code, whatever the system
        ("Observation?code=718-7", {"loinc", "both", "local", "same", "other", "bare"}),
        ("Observation?code=HGB", {"both", "local"}),
        # not case sensitive
        ("Observation?code=hgb", {"both", "local"}),
        # a system and a code
        (f"Observation?code={LOINC}|718-7", {"loinc", "both", "local", "same"}),
        (f"Observation?code={LOCAL}|718-7", {"same", "other"}),
        (f"Observation?code={LOCAL}|8480-6", set()),
        # a code without a system
        ("Observation?code=|718-7", {"bare"}),
        # any code of a system
        (f"Observation?code={LOCAL}|", {"both", "local", "same", "other"}),
        # OR, within and between systems
        (f"Observation?code={LOCAL}|HGB,{LOINC}|85354-9", {"both", "local", "parts"}),
        (
            f"Observation?code={LOCAL}|718-7,{LOINC}|718-7",
            {"loinc", "both", "local", "same", "other"},
        ),
        (f"Observation?code={LOINC}|718-7,HGB,|718-7", {"loinc", "both", "local", "same", "bare"}),
        # AND
        (f"Observation?code={LOINC}|718-7&code={LOCAL}|HGB", {"both", "local"}),
        # without the order of the main date
        (f"Observation?code={LOINC}|718-7&_sort=_lastUpdated", {"loinc", "both", "local", "same"}),
        ("Observation?code=718-7&_sort=-_lastUpdated&status=amended", {"local"}),
        # a parameter of two others
        ("Observation?combo-code=8480-6", {"parts"}),
        ("Observation?component-code=8480-6", {"parts"}),
        (f"Observation?combo-code={LOINC}|8480-6,HGB", {"parts", "both", "local"}),
        # a code has the system of its binding
        ("Observation?status=amended", {"local"}),
        (f"Observation?status={STATUS}|amended", {"local"}),
        ("Observation?status=http://elsewhere|amended", set()),
        ("Observation?status=|amended", set()),
        # booleans and computed ones
        ("Patient?active=true", {"hoa", "nam"}),  # assumed where nothing is said
        ("Patient?active:not=true", set()),
        ("Patient?active=false", set()),
        ("Patient?active:missing=true", {"nam"}),
        ("Patient?deceased=true", {"nam"}),
        ("Patient?deceased=false", {"hoa"}),
        ("Patient?gender=female,male", {"hoa", "nam"}),
        ("Patient?gender=female&gender=male", set()),
        # identifiers, which are looked up
        (f"Patient?identifier={CCCD}|001099000001", {"hoa"}),
        ("Patient?identifier=001099000001", {"hoa", "nam"}),
        ("Patient?identifier=dn4010100000001", {"hoa"}),
        ("Patient?identifier=|MS-7", {"nam"}),
        ("Patient?identifier=|001099000001", set()),
        (f"Patient?identifier={CCCD}|", {"hoa"}),
        (f"Patient?identifier={CCCD}|,MS-7", {"hoa", "nam"}),
        (f"Patient?identifier={CCCD}|001099000001,|MS-7", {"hoa", "nam"}),
        (f"Patient?identifier={CCCD}|001099000001&gender=male", set()),
        (f"Patient?identifier={CCCD}|1&identifier={BHYT}|2", set()),
        # contact points by their value
        ("Patient?phone=%2B84912345678", {"hoa"}),
        ("Patient?telecom=hoa@example.org", {"hoa"}),
        ("Patient?email=%2B84912345678", set()),
        # of all resources
        ("Patient?_id=nam", {"nam"}),
        ("Patient?_id=nam,hoa,none", {"nam", "hoa"}),
        ("Patient?_id=Nam", set()),
        ("Patient?_id=nam&_id=hoa", set()),
        ("Patient?_tag=http://x.org/t|vip", {"nam"}),
    ],
)
def test_a_token_is_found(here: Record, address: str, ids: set[str]) -> None:
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"{address}&_count=0")).total == len(ids)


@covers("every", "_id", "_lastUpdated", "_tag", "_security", "_source", "_profile")
@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("_id=nam", {"nam"}),
        ("_lastUpdated=gt2020", {"hoa", "nam"}),
        ("_lastUpdated=lt2020", set()),
        ("_tag=vip", {"nam"}),
        ("_security=http://x.org/s|r", {"nam"}),
        ("_security=vip", set()),
        ("_source=http://x.org/feed#12", {"nam"}),
        ("_source=http://x.org/feed", set()),
        ("_profile=http://x.org/p", {"nam"}),
        ("_profile=http://x.org/p|2.0", set()),
    ],
)
def test_what_every_resource_has_is_found(here: Record, search: str, ids: set[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#all"""
    assert set(here.ids(f"Patient?{search.replace('#', '%23')}")) == ids
