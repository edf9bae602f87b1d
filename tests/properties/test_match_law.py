"""What holds of every two records: https://hl7.org/fhir/R4/patient-operation-match.html"""

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ehr_server.identity.blocks import kept
from ehr_server.identity.match import compared
from ehr_server.identity.traits import person
from ehr_server.identity.weights import weights

TODAY = "2026-11-26"
CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"
WARD = "http://ehr-server.org/fhir/vn/StructureDefinition/ward"
WORDS = ("Nguyễn", "Trần", "Đỗ", "Thị", "Văn", "Hữu", "Nam", "Hòa", "Hoa", "Ngọp", "H'Hen", "Niê")

names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join) | st.text(
    max_size=20
)
dates = st.dates().map(str) | st.dates().map(lambda day: str(day)[:4])


@st.composite
def patients(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient"}
    found["name"] = [{"text": draw(names)} for _ in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        found["birthDate"] = draw(dates)
    if draw(st.booleans()):
        found["gender"] = draw(st.sampled_from(["male", "female", "other", "unknown"]))
    if draw(st.booleans()):
        ward = draw(st.sampled_from(["00301", "08995"]))
        found["address"] = [{"extension": [{"url": WARD, "valueCoding": {"code": ward}}]}]
    if draw(st.booleans()):
        value = draw(st.sampled_from(["001174000456", "001174000465", "001199111222"]))
        use = draw(st.sampled_from(["official", "old"]))
        found["identifier"] = [{"system": CCCD, "value": value, "use": use}]
    if draw(st.booleans()):
        phone = draw(st.sampled_from(["0912345678", "+84912345678", "0000000000"]))
        found["telecom"] = [{"system": "phone", "value": phone}]
    return found


@given(patients(), patients())
def test_the_order_of_two_records_does_not_matter(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = person(one, TODAY), person(other, TODAY)
    found = compared(first, second, weights())
    turned = compared(second, first, weights())
    assert (found.score, found.grade, found.levels) == (turned.score, turned.grade, turned.levels)
    assert abs(found.bits - turned.bits) < 1e-9
    assert 0 <= found.score <= 1


@given(patients(), patients())
def test_nobody_is_more_like_a_record_than_the_record_itself(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    itself = person(one, TODAY)
    own = compared(itself, itself, weights())
    assert own.score >= compared(itself, person(other, TODAY), weights()).score or not one["name"]


@given(patients(), st.sampled_from(["NFC", "NFD", "upper", "lower", "spaces"]))
def test_how_a_name_is_written_does_not_matter(one: dict[str, Any], way: str) -> None:
    def written(text: str) -> str:
        if way in ("NFC", "NFD"):
            return unicodedata.normalize(way, text)  # type: ignore[arg-type]
        return f" {'  '.join(text.split())} " if way == "spaces" else getattr(text, way)()

    other = {**one, "name": [{"text": written(each["text"])} for each in one["name"]]}
    if all(each["text"].isascii() or each["text"].split()[0] in WORDS for each in one["name"]):
        assert kept(one) == kept(other)
        assert person(one, TODAY).names == person(other, TODAY).names
