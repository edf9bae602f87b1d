"""https://hl7.org/fhir/R4/search.html#number and https://hl7.org/fhir/R4/search.html#quantity"""

from decimal import Decimal
from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers

UCUM = "http://unitsofmeasure.org"


def _quantity(value: str, **unit: str) -> dict[str, Any]:
    return {"value": Decimal(value), **unit}


def _observation(id_: str, **value: Any) -> dict[str, Any]:
    code = {"text": "x"}
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": code, **value,
    }  # fmt: skip


def _charge(id_: str, factor: str) -> dict[str, Any]:
    return {
        "resourceType": "ChargeItem",
        "id": id_,
        "status": "billable",
        "code": {"text": "x"},
        "subject": {"display": "x"},
        "factorOverride": Decimal(factor),
    }


MMHG = {"system": UCUM, "code": "mm[Hg]", "unit": "mmHg"}
RECORD = [
    _observation("mg", valueQuantity=_quantity("5.4", system=UCUM, code="mg", unit="mg")),
    _observation("mg2", valueQuantity=_quantity("5.44", system=UCUM, code="mg")),
    _observation("g", valueQuantity=_quantity("5.40", system=UCUM, code="g")),
    _observation("word", valueQuantity=_quantity("5.4", unit="viên")),
    _observation("own", valueQuantity=_quantity("5.4", system="http://x.org", code="mg")),
    _observation("bare", valueQuantity=_quantity("-3")),
    _observation(
        "pressure",
        component=[
            {"code": {"text": "s"}, "valueQuantity": _quantity("150", **MMHG)},
            {"code": {"text": "d"}, "valueQuantity": _quantity("95.5", **MMHG)},
        ],
    ),
    _charge("r99.4", "99.4"),
    _charge("r99.5", "99.5"),
    _charge("r100", "100"),
    _charge("r104.9", "104.9"),
    _charge("tiny", "0.00000012"),
]


@covers("number", "value", "eq ne", "gt ge lt le", "sa eb", "ap")
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        # the precision of the number is that of its digits
        ("100", {"r99.5", "r100"}),
        ("100.0", {"r100"}),
        ("1e2", {"r99.4", "r99.5", "r100", "r104.9"}),
        ("99.5", {"r99.5"}),
        ("ne100", {"r99.4", "r104.9", "tiny"}),
        # a comparison takes it as exact
        ("gt100", {"r104.9"}),
        ("ge100", {"r100", "r104.9"}),
        ("lt99.5", {"r99.4", "tiny"}),
        ("le99.5", {"r99.4", "r99.5", "tiny"}),
        ("sa100", {"r104.9"}),
        ("eb99.5", {"r99.4", "tiny"}),
        # within a tenth
        ("ap95", {"r99.4", "r99.5", "r100"}),
        ("1.2e-7", {"tiny"}),
        ("lt99.5,gt100", {"r99.4", "tiny", "r104.9"}),
    ],
)
def test_a_number_is_found(here: Record, value: str, ids: set[str]) -> None:
    assert set(here.ids(f"ChargeItem?factor-override={value}")) == ids


@covers("quantity", "value")
@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("value-quantity=5.4", {"mg", "mg2", "g", "word", "own"}),
        ("value-quantity=5.40", {"mg", "g", "word", "own"}),
        (f"value-quantity=5.4|{UCUM}|mg", {"mg", "mg2"}),
        ("value-quantity=5.4|http://x.org|mg", {"own"}),
        # ||code: the code or the unit as it is printed
        ("value-quantity=5.4||mg", {"mg", "mg2", "own"}),
        ("value-quantity=5.4||viên", {"word"}),
        ("value-quantity=gt5||", {"mg", "mg2", "g", "word", "own"}),
        # a unit of UCUM is converted: see test_search_units.py
        (f"value-quantity=gt5.4|{UCUM}|mg", {"mg2", "g"}),
        (f"value-quantity=gt5.4|{UCUM}|mg&value-quantity=lt1|{UCUM}|g", {"mg2"}),
        ("value-quantity=lt0", {"bare"}),
        ("value-quantity=-3", {"bare"}),
        (f"value-quantity=5.4|{UCUM}|g,lt0", {"g", "bare"}),
        # units are told apart by case
        (f"value-quantity=5.4|{UCUM}|MG", set()),
        # beside the row, and both
        (f"component-value-quantity=gt140|{UCUM}|mm[Hg]", {"pressure"}),
        ("component-value-quantity=gt140||mmHg", {"pressure"}),
        ("component-value-quantity=gt160", set()),
        ("component-value-quantity=95.5", {"pressure"}),
        (f"component-value-quantity=gt140|{UCUM}|mg", set()),
        ("combo-value-quantity=gt90||mm[Hg]", {"pressure"}),
        ("combo-value-quantity=lt100", {"mg", "mg2", "g", "word", "own", "bare", "pressure"}),
    ],
)
def test_a_quantity_is_found(here: Record, search: str, ids: set[str]) -> None:
    assert set(here.ids(f"Observation?{search}")) == ids
