"""The formats of the primitive types. https://hl7.org/fhir/R4/datatypes.html#primitive"""

import re
from datetime import date, timedelta

import pytest

from ehr_server.definitions import PRIMITIVES, definitions


def _matches(type_name: str, text: str) -> bool:
    return re.fullmatch(PRIMITIVES[type_name].pattern or "", text, re.ASCII) is not None


def test_every_primitive_type_has_a_format() -> None:
    names = {name for name, of in definitions().types.items() if of.kind == "primitive"}
    assert set(PRIMITIVES) == names


def test_dates_are_the_days_of_the_calendar() -> None:
    """Every day of 400 years, the whole cycle of leap years, and the day after each month."""
    day = date(1799, 12, 31)
    while day.year < 2200:
        assert _matches("date", day.isoformat())
        following = day + timedelta(days=1)
        if following.day == 1:
            assert not _matches("date", f"{day:%Y-%m}-{day.day + 1:02}")
        day = following


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("date", "0001"),
        ("date", "2000-02-29"),
        ("dateTime", "2015-02-07T13:28:17.239+02:00"),
        ("dateTime", "2015-02-07T13:28:60Z"),
        ("instant", "2017-01-01T00:00:00Z"),
        ("time", "23:59:59.999"),
        ("code", "a code"),
        ("id", "A.b-" + "9" * 60),
        ("uri", "urn:oid:1.2"),
        ("oid", "urn:oid:2.16.840.1.113883"),
        ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
        ("base64Binary", "aGVs bG8=\n"),
        ("string", " Nguyễn\tThị\r\nHoa "),
    ],
)
def test_well_formed(type_name: str, text: str) -> None:
    assert _matches(type_name, text)


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("date", "0000"),
        ("date", "1900-02-29"),
        ("date", "2023-13"),
        ("date", "2023-1-1"),
        ("date", "2023-01-01\n"),
        ("date", "２０２３"),
        ("dateTime", "2015-02-07T13:28:17"),
        ("dateTime", "2015-02-07T13:28Z"),
        ("dateTime", "2015-02-07T24:00:00Z"),
        ("dateTime", "2015-02-07T13:28:17+14:30"),
        ("instant", "2017-01-01"),
        ("time", "24:00:00"),
        ("time", "10:00"),
        ("code", " a"),
        ("code", "a  b"),
        ("code", "a\tb"),
        ("id", "a" * 65),
        ("id", "a_b"),
        ("id", "a\n"),
        ("uri", "http://a b"),
        ("oid", "urn:oid:1.02"),
        ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"),
        ("base64Binary", "aGVsbG8"),
        ("base64Binary", "===="),
        ("string", "a\x00b"),
        ("string", "\x1b"),
    ],
)
def test_malformed(type_name: str, text: str) -> None:
    assert not _matches(type_name, text)
