"""https://hl7.org/fhir/R4/search.html#sort: each type that has an order, up and down.

"If there is more than one value, the first in the order counts"; what has none comes last, either
way. What is alike has the order of its further keys.
"""

from dataclasses import replace
from typing import Any

import pytest

from ehr_server.access.find import Found
from ehr_server.fhir.bundle import identity
from searching import Record

covers = pytest.mark.covers


def _patient(id_: str, *names: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id_,
        "name": [{"family": one} for one in names],
        **rest,
    }


def _observation(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"}, **rest,
    }  # fmt: skip


def _components(*values: int) -> dict[str, Any]:
    return {"component": [
        {"code": {"text": "x"}, "valueQuantity": {"value": value}} for value in values
    ]}  # fmt: skip


def _charge(id_: str, factor: float | None) -> dict[str, Any]:
    rest = {} if factor is None else {"factorOverride": factor}
    return {
        "resourceType": "ChargeItem", "id": id_, "status": "billable", "code": {"text": "x"},
        "subject": {"reference": "Patient/an"}, **rest,
    }  # fmt: skip


def _report(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport", "id": id_, "status": "final", "code": {"text": "x"},
        **rest,
    }  # fmt: skip


RECORD = [
    _patient("an", "An", birthDate="1990-05-20"),
    _patient("binh", "Bình", "Yến", birthDate="1980"),
    _patient("duc", "Đức", birthDate="2001-01"),
    _patient("nameless", birthDate="1985-03-03"),
    _patient("chi", "Chi"),
    # main quantities and dates, and those beside the row
    _observation("two", valueQuantity={"value": 2}, effectiveDateTime="2024-03-01"),
    _observation("ten", valueQuantity={"value": 10}, effectiveDateTime="2024-01-01"),
    _observation("minus", valueQuantity={"value": -1}, effectiveDateTime="2024-02-01"),
    _observation("period", effectivePeriod={"start": "2024-01-15", "end": "2024-12-31"}),
    _observation("several", **_components(5, 100), effectiveDateTime="2024-04-01"),
    _observation("one", **_components(7), valueString="b"),
    _charge("half", 0.5), _charge("none", None), _charge("three", 3), _charge("tiny", 0.01),
    _report("late", issued="2024-05-01T00:00:00Z", effectiveDateTime="2024-04-01"),
    _report("early", issued="2024-01-01T00:00:00+07:00", effectiveDateTime="2024-04-01"),
    _report("middle", issued="2024-01-01T00:00:00Z", effectiveDateTime="2024-03-01"),
    _report("never", effectiveDateTime="2024-04-01"),
]  # fmt: skip
del RECORD[3]["name"]
OBSERVATIONS = 6


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # texts by their letters without accents; of several the first in the order
        pytest.param("Patient?_sort=family", "an binh chi duc nameless",
                     marks=covers("string", "_sort")),
        pytest.param("Patient?_sort=-family", "binh duc chi an nameless",
                     marks=covers("string", "_sort")),
        pytest.param("Patient?_sort=name", "an binh chi duc nameless",
                     marks=covers("string", "_sort")),
        pytest.param("Patient?_sort=family&birthdate=lt2000", "an binh nameless",
                     marks=covers("string", "_sort")),
        # dates: on the row, beside it, the server's own
        pytest.param("Patient?_sort=birthdate", "binh nameless an duc chi",
                     marks=covers("date", "_sort")),
        pytest.param("Patient?_sort=-birthdate", "duc an nameless binh chi",
                     marks=covers("date", "_sort")),
        pytest.param("Observation?_sort=date", "ten period minus two several one",
                     marks=covers("date", "_sort")),
        pytest.param("Observation?_sort=-date", "several two minus period ten one",
                     marks=covers("date", "_sort")),
        pytest.param("DiagnosticReport?_sort=issued", "early middle late never",
                     marks=covers("date", "_sort")),
        pytest.param("DiagnosticReport?_sort=-issued", "late middle early never",
                     marks=covers("date", "_sort")),
        # numbers
        pytest.param("ChargeItem?_sort=factor-override", "tiny half three none",
                     marks=covers("number", "_sort")),
        pytest.param("ChargeItem?_sort=-factor-override", "three half tiny none",
                     marks=covers("number", "_sort")),
        # quantities, by their number whatever the unit
        pytest.param("Observation?_sort=value-quantity,date", "minus two ten period several one",
                     marks=covers("quantity", "_sort")),
        pytest.param("Observation?_sort=-value-quantity,-date", "ten two minus several period one",
                     marks=covers("quantity", "_sort")),
        pytest.param(
            "Observation?_sort=component-value-quantity,date", "several one ten period minus two",
            marks=covers("quantity", "_sort")),
        pytest.param(
            "Observation?_sort=-component-value-quantity,date", "several one ten period minus two",
            marks=covers("quantity", "_sort")),
        # several keys, each its own way
        pytest.param("DiagnosticReport?_sort=date,issued", "middle early late never",
                     marks=covers("date", "_sort")),
        pytest.param("DiagnosticReport?_sort=-date,issued", "early late never middle",
                     marks=covers("date", "_sort")),
        pytest.param("DiagnosticReport?_sort=-date,-issued", "late early never middle",
                     marks=covers("date", "_sort")),
        pytest.param("Observation?_sort=value-string,-date", "one several two minus period ten",
                     marks=covers("string", "_sort")),
        pytest.param(
            "Observation?_sort=value-string,value-quantity,-date",
            "one minus two ten several period", marks=covers("string", "_sort")),
        # without a wish: newest first by the main date
        ("DiagnosticReport?date=2024-03", "middle"),
        ("Observation", "several two minus period ten one"),
    ],
)  # fmt: skip
def test_what_is_found_is_in_order(here: Record, address: str, ids: str) -> None:
    assert here.ids(address) == ids.split()
    for count in (1, 2, 3):
        mark = "&" if "?" in address else "?"
        assert here.ids(f"{address}{mark}_count={count}") == ids.split()


@covers("date", "_sort")
def test_last_updated_is_the_order_of_writing(here: Record) -> None:
    """All resources here were written in one moment: one is now written anew."""
    here.put({**RECORD[0], "active": True})
    assert here.ids("Patient?_sort=_lastUpdated")[-1] == "an"
    assert here.ids("Patient?_sort=-_lastUpdated")[0] == "an"


def _ids(found: Found) -> list[str]:
    return [identity(match.content)[1] for match in found.matches]


@pytest.mark.parametrize(
    "sort",
    [
        "", "_sort=date", "_sort=-date", "_sort=value-string,-date", "_sort=-value-string,date",
        "_sort=component-value-quantity", "_sort=-component-value-quantity,-date",
        "_sort=_lastUpdated", "_sort=-value-quantity", "_sort=value-quantity,-_lastUpdated",
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 2, 4])
def test_pages_lead_on_and_back_again(here: Record, sort: str, count: int) -> None:
    """https://hl7.org/fhir/R4/http.html#paging: next to the end, then previous to the beginning."""
    query = here.query(f"Observation?{sort}&_count={count}")
    pages = [here.run(query)]
    assert pages[0].previous is None
    while pages[-1].next is not None:
        pages.append(here.run(replace(query, page=pages[-1].next)))
    forth = [_ids(page) for page in pages]
    assert sorted(id_ for page in forth for id_ in page) == sorted(
        one["id"] for one in RECORD if one["resourceType"] == "Observation"
    )
    assert all(page.total == OBSERVATIONS for page in pages)
    back = [pages[-1]]
    while back[-1].previous is not None:
        back.append(here.run(replace(query, page=back[-1].previous)))
    assert [_ids(page) for page in reversed(back)] == forth
    assert back[-1].next is not None or len(pages) == 1
    assert _ids(here.run(replace(query, page=back[-1].next))) == forth[1]


def test_a_page_before_what_came_new_ahead_is_not_lost(here: Record) -> None:
    """Going back from the second page finds what was written ahead of the first meanwhile."""
    query = here.query("Patient?_sort=birthdate&_count=2")
    second = here.run(replace(query, page=here.run(query).next))
    here.put(_patient("older", "Cụ", birthDate="1900"))
    first = here.run(replace(query, page=second.previous))
    assert _ids(first) == ["binh", "nameless"]
    assert first.previous is not None
    assert _ids(here.run(replace(query, page=first.previous))) == ["older"]
    here.delete("Patient", "older")
