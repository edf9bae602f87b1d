"""https://hl7.org/fhir/R4/search.html#date and https://hl7.org/fhir/R4/search.html#prefix"""

from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers


def _encounter(id_: str, **period: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {"code": "AMB"},
        "period": period,
    }


def _report(id_: str, issued: str) -> dict[str, Any]:
    code = {"text": "x"}
    return {
        "resourceType": "DiagnosticReport", "id": id_, "status": "final", "code": code,
        "issued": issued,
    }  # fmt: skip


# The main date of Encounter is on the row, `issued` of DiagnosticReport beside it.
RECORD = [
    _encounter("day", start="2024-03-05", end="2024-03-05"),
    _encounter("march", start="2024-03"),  # an end is unknown: it goes on for ever
    _encounter("until", end="2024-03-05"),  # no start: it began before all
    _encounter("months", start="2024-01-10", end="2024-06-20"),
    _encounter("noon", start="2024-03-05T12:00:00+07:00", end="2024-03-05T12:30:00+07:00"),
    _encounter("none"),
    _report("night", "2024-03-04T17:00:00Z"),  # midnight in Viet Nam
    _report("eve", "2024-03-05T06:59:59.999+14:00"),  # a day before there
    _report("later", "2024-03-06T00:00:00+07:00"),
]
del RECORD[5]["period"]


@covers("date", "value", "eq ne", "gt ge lt le", "sa eb", "ap")
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        # eq: the searched span contains all of the resource's
        ("2024-03-05", {"day", "noon"}),
        ("eq2024-03", {"day", "noon"}),
        ("2024", {"day", "noon", "months"}),
        ("2024-03-05T12:00", set()),
        # ne: it does not
        ("ne2024-03-05", {"march", "until", "months"}),
        # gt, lt: something of the resource's span lies beyond the searched one
        ("gt2024-03-05", {"march", "months"}),
        ("gt2024-06-20", {"march"}),
        ("lt2024-03-05", {"until", "march", "months"}),
        ("lt2024-01-10", {"until"}),
        # ge, le: or it is within
        ("ge2024-03-05", {"day", "march", "months", "noon"}),
        ("ge2024-03-06", {"march", "months"}),
        ("ge2030", {"march"}),
        ("le2024-03-05", {"day", "until", "march", "months", "noon"}),
        ("le2024-02", {"until", "months"}),
        # sa, eb: all of it lies beyond
        ("sa2024-01-09", {"day", "march", "months", "noon"}),
        ("sa2024-03-04", {"day", "noon"}),
        ("eb2024-06-21", {"day", "until", "months", "noon"}),
        ("eb2024-03-05", set()),
        # ap: the spans overlap, more or less
        ("ap2024-03-05", {"day", "until", "march", "months", "noon"}),
        # a time without a zone is one of the place
        (
            "ge2024-03-05T12:00&date=lt2024-03-05T12:01",
            {"day", "until", "march", "months", "noon"},
        ),
        ("sa2024-03-05T11:59&date=lt2024-03-05T12:01", {"noon"}),
        # OR
        ("2024-03-05,sa2030", {"day", "noon"}),
        ("lt2024-01-10,gt2024-06-20", {"until", "march"}),
    ],
)
def test_a_main_date_is_found(here: Record, value: str, ids: set[str]) -> None:
    assert set(here.ids(f"Encounter?date={value}")) == ids
    assert here.run(here.query(f"Encounter?date={value}&_count=0")).total == len(ids)


@covers("date", "value")
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("2024-03-05", {"night"}),
        ("lt2024-03-05", {"eve"}),
        ("ge2024-03-05", {"night", "later"}),
        ("gt2024-03-05", {"later"}),
        ("2024-03-04T17:00Z", {"night"}),
        ("2024-03-04T17:00:00.000Z", set()),  # the resource's second is longer than that
        ("2024-03-04T16:59:59.999Z", {"eve"}),
        ("ne2024-03-05", {"eve", "later"}),
        ("sa2024-03-04T17:00:00Z,eb2024-03-05", {"eve", "later"}),
    ],
)
def test_another_date_is_found(here: Record, value: str, ids: set[str]) -> None:
    assert set(here.ids(f"DiagnosticReport?issued={value}")) == ids


@covers("date", "value")
def test_last_updated_is_a_date_too(here: Record) -> None:
    everything = set(here.ids("Encounter"))
    assert len(everything) == 6
    assert set(here.ids("Encounter?_lastUpdated=gt2020")) == everything
    assert set(here.ids("Encounter?_lastUpdated=sa2020&_lastUpdated=ge2020")) == everything
    assert here.ids("Encounter?_lastUpdated=lt2020") == []
    assert here.ids("Encounter?_lastUpdated=2020,eb2020,le2020") == []
