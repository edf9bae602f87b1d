"""https://hl7.org/fhir/R4/search.html#string"""

import unicodedata

import pytest

from searching import Record

covers = pytest.mark.covers

RECORD = [
    {
        "resourceType": "Patient",
        "id": "hoa",
        "name": [{"family": "Nguyễn", "given": ["Thị", "Hoa"], "prefix": ["Bà"]}],
        "address": [
            {
                "line": ["12 Đường Lê Lợi", "Tổ 3"],
                "city": "Đà Nẵng",
                "district": "Hải Châu",
                "postalCode": "550000",
                "country": "VN",
            }
        ],
    },
    {
        "resourceType": "Patient",
        "id": "ho",
        "name": [{"text": "Hồ Đức Anh"}, {"use": "old", "family": "van der Berg"}],
        "address": [{"text": "Huế, Việt Nam"}],
    },
    {"resourceType": "Patient", "id": "odd", "name": [{"family": "50%_a\\b,c"}]},
    {"resourceType": "Patient", "id": "last", "name": [{"family": "\U0010ffff\U0010ffff"}]},
]


@covers("string", "value")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # equal to, or begins with
        ("Patient?family=Nguyễn", {"hoa"}),
        ("Patient?family=ng", {"hoa"}),
        ("Patient?family=guyen", set()),
        # neither case nor combining characters count
        ("Patient?family=NGUYEN", {"hoa"}),
        (f"Patient?family={unicodedata.normalize('NFD', 'nguyễn')}", {"hoa"}),
        ("Patient?address-city=da nang", {"hoa"}),
        # any part of a name or an address
        ("Patient?name=hoa", {"hoa"}),
        ("Patient?name=ho", {"hoa", "ho"}),
        ("Patient?name=ba", {"hoa"}),
        ("Patient?name=ho duc", {"ho"}),
        ("Patient?name=nguyễn thị hoa", {"hoa"}),
        ("Patient?given=thi", {"hoa"}),
        ("Patient?given=hoa", {"hoa"}),
        ("Patient?family=van der", {"ho"}),
        ("Patient?phonetic=hoa", {"hoa"}),
        ("Patient?address=12 duong", {"hoa"}),
        ("Patient?address=to 3", {"hoa"}),
        ("Patient?address=hai chau", {"hoa"}),
        ("Patient?address=hue", {"ho"}),
        ("Patient?address-postalcode=55", {"hoa"}),
        # OR and AND
        ("Patient?name=hoa,ho duc", {"hoa", "ho"}),
        ("Patient?given=thi&given=hoa", {"hoa"}),
        # nothing is a pattern; what parts values can be escaped
        ("Patient?family=50%25_", {"odd"}),
        ("Patient?family=%25", set()),
        ("Patient?family=_", set()),
        ("Patient?family=50%25_a\\\\b\\,c", {"odd"}),
        ("Patient?family=\U0010ffff", {"last"}),
        ("Patient?name='; drop table resource --", set()),
    ],
)
def test_a_string_is_found(here: Record, address: str, ids: set[str]) -> None:
    assert set(here.ids(address)) == ids
