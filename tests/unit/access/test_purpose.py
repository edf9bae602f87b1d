"""What data are asked for: the headers, and what a broken glass is good for."""

from urllib.parse import quote

import pytest

from ehr_server.access.principal import Principal
from ehr_server.access.purpose import PURPOSE, REASON, hold_glass, purpose_of
from ehr_server.errors import Forbidden, Invalid

DOCTOR = Principal("his", "d", purposes=("TREAT", "BTG"))
LAB = Principal("lab", "lab")
STUDY = Principal("study", "study", purposes=("HRESCH",))
WHY = "Bệnh nhân hôn mê, cần tiền sử dị ứng"


def _asked(principal: Principal | None, why: str = "", reason: str = "") -> tuple[str, str]:
    return purpose_of({PURPOSE: why, REASON: quote(reason)}, principal)


def test_treatment_is_meant_where_nothing_is_said() -> None:
    assert purpose_of({}, DOCTOR) == purpose_of({}, LAB) == purpose_of({}, None) == ("TREAT", "")


def test_who_has_other_purposes_alone_means_the_first_of_them() -> None:
    assert purpose_of({}, STUDY) == ("HRESCH", "")


def test_a_purpose_may_be_said_with_its_system() -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    assert _asked(STUDY, f"{system}|HRESCH") == ("HRESCH", "")


def test_the_reason_comes_percent_encoded() -> None:
    assert _asked(DOCTOR, "BTG", WHY) == ("BTG", WHY)


@pytest.mark.parametrize(("principal", "why"), [(LAB, "BTG"), (LAB, "HRESCH"), (STUDY, "TREAT")])
def test_nobody_has_a_purpose_that_was_not_granted(principal: Principal, why: str) -> None:
    with pytest.raises(Forbidden) as refused:
        _asked(principal, why, WHY)
    assert refused.value.vi


@pytest.mark.parametrize("reason", ["", "gấp", "         x", "123456789"])
def test_the_glass_is_not_broken_without_a_reason(reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        _asked(DOCTOR, "BTG", reason)
    assert "X-Purpose-Reason" in refused.value.text
    assert refused.value.vi


def test_ten_characters_are_a_reason_and_five_hundred_the_longest() -> None:
    assert _asked(DOCTOR, "BTG", "1234567890")
    assert _asked(DOCTOR, "BTG", "ự" * 500)
    with pytest.raises(Invalid):
        _asked(DOCTOR, "BTG", "x" * 501)


@pytest.mark.parametrize(
    "raw", ["%FF%FE%20not%20UTF-8", "two%0Alines%20of%20text", "nul%00%20byte"]
)
def test_a_reason_is_one_line_of_text(raw: str) -> None:
    with pytest.raises(Invalid):
        purpose_of({PURPOSE: "BTG", REASON: raw}, DOCTOR)


@pytest.mark.parametrize("why", ["btg", "BTG, TREAT", "BTG,BTG", "x", "http://a|BTG"])
def test_a_purpose_is_one_of_the_list(why: str) -> None:
    with pytest.raises(Invalid):
        _asked(None, why, WHY)


ONE = """
GET Patient/1
HEAD Patient/1
GET Patient/1/_history
GET Patient/1/_history/2
GET Patient/1/$everything?_count=5&_type=Observation
POST Patient/1/$everything
GET Encounter/1/$everything
GET Patient/1/Observation?code=x
GET Patient/1/*
POST Patient/1/Observation/_search?code=x
GET Observation/1
GET Observation/1/_history
GET Observation/1/_history/1
GET Binary/1
GET Observation?patient=1&code=x
GET Observation?patient=Patient/1
GET Observation?subject=Patient/1
GET Observation?subject:Patient=1
GET Observation?patient.identifier=http://a|1
GET Observation?subject:Patient.identifier=http://a|1
POST Observation/_search?patient=1
GET Patient?identifier=http://a|1
GET Patient?_id=1
POST Patient/_search?identifier=http://a|1
"""
SEVERAL = """
GET ?_type=Observation&patient=1
POST
GET Patient
GET Patient?name=hoa
GET Patient?identifier=http://a|1,http://a|2
GET Patient?identifier=http://a|1&_id=1
GET Patient?identifier=
GET Patient?patient=1
GET Observation
GET Observation?patient=1,2
GET Observation?patient=1&patient=2
GET Observation?patient:not=1
GET Observation?patient:missing=false
GET Observation?patient=1&subject=Patient/2
GET Observation?patient.name=hoa
GET Observation?subject=Group/1
GET Observation?subject=1
GET Observation?patient=http://elsewhere/Patient/1
GET Observation?patient=1&_include=Observation:performer
GET Observation?patient=1&_revinclude:iterate=Provenance:target
GET Observation?patient=1&_has:Provenance:target:agent=x
GET Observation?patient=1&_filter=code
GET Organization?patient=1
GET Organization/1
GET Group/1
GET Group/1/$export
GET Patient/$export
GET Patient/_history
POST Patient/$match
GET Observation/_history
GET Observation/$lastn?patient=1
GET Observation/1/$validate
GET $export
PUT Patient/1
DELETE Observation/1
PATCH Observation/1
POST Observation?patient=1
PUT Observation?patient=1
POST Patient/1/$purge
GET Patient/1/$purge
"""


def _hold(line: str) -> None:
    method, _, address = line.partition(" ")
    path, _, query = address.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    hold_glass(
        method, tuple(filter(None, path.split("/"))), [(name, value) for name, _, value in pairs]
    )


@pytest.mark.parametrize("line", ONE.strip().splitlines())
def test_the_glass_is_broken_for_one_person(line: str) -> None:
    _hold(line)


@pytest.mark.parametrize("line", SEVERAL.strip().splitlines())
def test_and_for_no_more_and_nothing_but_to_read(line: str) -> None:
    with pytest.raises(Forbidden) as refused:
        _hold(line)
    assert refused.value.vi
