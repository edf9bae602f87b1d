"""https://hl7.org/fhir/R4/search.html"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ehr_server.definitions import definitions
from ehr_server.fhir import dates
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.index import index
from ehr_server.search.rows import UNDATED
from ehr_server.search.rules import Rules
from ehr_server.search.types import coded, quantity, reference, uri
from properties.gate_resources import made

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"))
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def _concept(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": _concept((LOINC, "85354-9"), ("http://x.org", "HA")),
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
    "performer": [{"reference": "Practitioner/d"}, {"reference": "Patient/q"}],
    "effectiveDateTime": "2024-03-05",
    "component": [
        {
            "code": _concept((LOINC, code)),
            "valueQuantity": {"value": Decimal(value), "system": UCUM, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", "120"), ("8462-4", "80.5"))
    ],
}


def test_an_observation_is_mostly_on_its_row() -> None:
    rows = index(PRESSURE, RULES)
    assert rows.c1 == hash64("Observation.code", "85354-9")
    assert (rows.d1, rows.d1e) == (
        datetime(2024, 3, 4, 17, tzinfo=UTC),
        datetime(2024, 3, 5, 17, tzinfo=UTC),
    )
    assert rows.q1 is None
    code, component = "Observation.code", "Observation.component-code"
    assert rows.toks == sorted(
        [
            hash64("Observation.status", "final"),
            *(hash64(code, LOINC, "85354-9"), hash64(code, LOINC, "")),
            *(hash64(code, "http://x.org", "ha"), hash64(code, "http://x.org", "")),
            hash64(code, "ha"),  # a further code; the first is in c1
            *(hash64(component, LOINC, "8480-6"), hash64(component, "8480-6")),
            *(hash64(component, LOINC, "8462-4"), hash64(component, "8462-4")),
            hash64(component, LOINC, ""),
        ]
    )
    assert rows.refs == sorted(
        own_comp(*target) ^ hash64("reference", f"Observation.{code}")
        for code, target in (
            ("subject", ("Patient", "p")),
            ("encounter", ("Encounter", "e")),
            ("performer", ("Practitioner", "d")),
            ("performer", ("Patient", "q")),
        )
    )
    assert rows.patients == ["p", "q"]
    number = definitions().search_parameters["Observation"]["component-value-quantity"].number
    unit = hash64("unit", UCUM, "mm[Hg]")
    loinc = hash64("beside", "system", LOINC)  # each beside the code of its component
    assert rows.quantities == [
        (number, 120.0, unit, hash64("beside", "8480-6"), loinc),
        (number, 80.5, unit, hash64("beside", "8462-4"), loinc),
    ]
    assert set(rows.units) == {"mm[Hg]"}
    assert not rows.strings
    assert not rows.dates


def test_a_value_has_one_row_for_each_name_of_its_unit() -> None:
    def units(**unit: str) -> int:
        value = {"value": 1, **unit}
        component = [{"code": {"text": "x"}, "valueQuantity": value}]
        rows = index({"resourceType": "Observation", "id": "o", "component": component}, RULES)
        return len(rows.quantities)

    assert units() == 1
    assert units(unit="viên") == 1
    assert units(system=UCUM, code="mg", unit="mg") == 1
    assert units(system=UCUM, code="mm[Hg]", unit="mmHg") == 2
    assert units(system="http://x.org", code="v", unit="viên") == 3


def test_what_has_no_date_sorts_below_all_that_have() -> None:
    assert index({"resourceType": "Observation", "id": "o"}, RULES).d1 == UNDATED
    assert index({"resourceType": "Organization", "id": "o"}, RULES).d1 is None


def test_the_identifiers_of_patients_are_in_the_directory() -> None:
    identifier = [{"system": "http://cccd.vn", "value": "A1"}, {"value": "B2"}, {"system": "x"}]
    rows = index({"resourceType": "Patient", "id": "p", "identifier": identifier}, RULES)
    name = "Patient.identifier"
    assert set(rows.identifiers) == {
        hash64(name, "http://cccd.vn", "a1"), hash64(name, "a1"),
        hash64(name, "", "b2"), hash64(name, "b2"),
    }  # fmt: skip
    assert {hash64(name, "http://cccd.vn", ""), hash64(name, "x", "")} <= set(rows.toks)


def test_a_number_beyond_all_floats_is_infinite() -> None:
    value = {"value": 10**400}
    assert index(
        {"resourceType": "Observation", "id": "o", "valueQuantity": value}, RULES
    ).q1 == float("inf")


@pytest.mark.parametrize("seed", range(4))
def test_every_type_can_be_indexed(seed: int) -> None:
    """Nothing is raised whatever a resource holds, and nothing comes twice."""
    for type_name in definitions().resource_types:
        rows = index(made(type_name, seed), replace(RULES, base="http://here/fhir"))
        for sorted_ones in (rows.toks, rows.refs):
            assert sorted_ones == sorted(set(sorted_ones))
        strings = [row[:2] for row in rows.strings]  # the pieces are a list
        for once in (strings, rows.dates, rows.quantities, rows.identifiers, rows.patients):
            assert len(once) == len(set(once))
        assert all(lo < hi for _, lo, hi in rows.dates)


def test_long_texts_stay_in_no_cache() -> None:
    """A cache of megabytes would be a way to fill the memory."""
    kept = [one._cached for one in (dates, quantity, reference, coded, uri)]
    before = [cache.cache_info().currsize for cache in kept]
    long = "x" * 100_000
    observation = {
        "resourceType": "Observation",
        "meta": {"profile": [f"http://{long}"]},
        "code": _concept((LOINC, long), (long, "HA")),
        "subject": {"reference": f"http://{long}"},
        "effectiveDateTime": f"2026-11-22T08:00:00.{'1' * 100_000}Z",
        "valueQuantity": {"value": Decimal(1), "unit": long},
    }
    rows = index(observation, RULES)
    assert len(rows.toks) > 5
    assert rows.refs
    assert [cache.cache_info().currsize for cache in kept] == before
