"""Units are those of UCUM, and values in all units of a dimension are compared.

https://hl7.org/fhir/R4/search.html#quantity: "the search processor may choose to perform a search
based on canonical units". The expected ids are of values converted by hand.
"""

from decimal import Decimal
from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers

UCUM, LOCAL = "http://unitsofmeasure.org", "http://benhvien.vn/dv"


def _quantity(value: str, code: str, system: str = UCUM) -> dict[str, Any]:
    return {"value": Decimal(value), "system": system, "code": code, "unit": code}


def _observation(id_: str, value: str, code: str, system: str = UCUM) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"},
        "valueQuantity": _quantity(value, code, system),
    }  # fmt: skip


def _measured(id_: str, *values: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"},
        "component": [
            {"code": {"text": "x"}, "valueQuantity": _quantity(*value)} for value in values
        ],
    }  # fmt: skip


RECORD = [
    # mass: 1 g, 1 kg = 1000 g, 2 [lb_av] = 907.18474 g, 400 mg
    _observation("g", "1", "g"),
    _observation("kg", "1", "kg"),
    _observation("pound", "2", "[lb_av]"),
    _observation("mg", "400", "mg"),
    # concentration of mass, and of substance, which is another thing
    _observation("dl", "13.5", "g/dL"),
    _observation("l", "135", "g/L"),
    _observation("mol", "5.5", "mmol/L"),
    # temperature has an offset: 98.6 [degF] = 37 Cel, 310.15 K
    _observation("warm", "37.0", "Cel"),
    _observation("fahrenheit", "98.6", "[degF]"),
    _observation("kelvin", "312.15", "K"),
    # counts and times
    _observation("cells", "6.1", "10*9/L"),
    _observation("cells-too", "6.1", "10*3/uL"),
    _observation("pulse", "72", "/min"),
    _observation("beats", "72", "{beats}/min"),
    _observation("hertz", "1.2", "Hz"),
    _observation("percent", "50", "%"),
    _observation("part", "0.5", "1"),
    # no UCUM, and none that there is
    _observation("tablet", "1", "g", LOCAL),
    _observation("unheard", "1", "blorp"),
    _measured("side", ("150", "mm[Hg]"), ("1", "cm")),
    _measured("side-too", ("20", "kPa"), ("10", "mm")),
]


def check(here: Record, search: str, ids: set[str]) -> None:
    found = here.ids(f"Observation?{search}")
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"Observation?{search}&_count=0")).total == len(ids)


@covers("quantity", "unit", "eq ne", "gt ge lt le", "sa eb", "ap")
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (f"1|{UCUM}|g", {"g"}),
        (f"1000|{UCUM}|mg", {"g"}),
        (f"gt0.7|{UCUM}|g", {"g", "kg", "pound"}),
        (f"gt900|{UCUM}|g", {"kg", "pound"}),
        (f"gt907.2|{UCUM}|g", {"kg"}),
        (f"lt1|{UCUM}|g", {"mg"}),
        (f"le1|{UCUM}|g", {"mg", "g"}),
        (f"ne1|{UCUM}|g", {"kg", "pound", "mg"}),
        # the precision is that of the searched number: 0.9 kg is from 0.85 to 0.95
        (f"0.9|{UCUM}|kg", {"pound"}),
        (f"0.90|{UCUM}|kg", set()),
        (f"0.907|{UCUM}|kg", {"pound"}),
        (f"ap1|{UCUM}|kg", {"kg", "pound"}),
        (f"sa1|{UCUM}|g", {"kg", "pound"}),
        (f"eb1|{UCUM}|g", {"mg"}),
        (f"ge1|{UCUM}|[oz_av]", {"kg", "pound"}),
        # of another dimension, or of none
        (f"gt0|{UCUM}|g/L", {"dl", "l"}),
        (f"135|{UCUM}|g/L", {"dl", "l"}),
        (f"13.5|{UCUM}|g/dL", {"dl", "l"}),
        (f"gt0|{UCUM}|mol/L", {"mol"}),
        (f"5500|{UCUM}|umol/L", {"mol"}),
        (f"37|{UCUM}|Cel", {"warm", "fahrenheit"}),
        (f"37.0|{UCUM}|Cel", {"warm", "fahrenheit"}),
        (f"gt38|{UCUM}|Cel", {"kelvin"}),
        (f"lt100|{UCUM}|[degF]", {"warm", "fahrenheit"}),
        (f"ge310.15|{UCUM}|K", {"warm", "fahrenheit", "kelvin"}),
        (f"6.1|{UCUM}|10*9/L", {"cells", "cells-too"}),
        (f"gt6000|{UCUM}|/uL", {"cells", "cells-too"}),
        # an annotation in braces is no unit
        (f"72|{UCUM}|/min", {"pulse", "beats", "hertz"}),
        (f"50|{UCUM}|%", {"percent", "part"}),
        (f"0.5|{UCUM}|1", {"percent", "part"}),
        # or
        (f"1|{UCUM}|g,37|{UCUM}|Cel", {"g", "warm", "fahrenheit"}),
    ],
)
def test_values_of_one_dimension_are_compared(here: Record, value: str, ids: set[str]) -> None:
    check(here, f"value-quantity={value}", ids)


@covers("quantity", "unit")
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        # a code or a name without a system is not converted; UCUM minds case
        ("1||g", {"g", "tablet"}),
        ("1000||mg", set()),
        (f"1|{LOCAL}|g", {"tablet"}),
        (f"1000|{LOCAL}|mg", set()),
        (f"1|{UCUM}|G", set()),
        (f"1|{UCUM}|blorp", {"unheard"}),
        (f"1|{UCUM}|nonsense", set()),
        # no unit at all: the number as it was recorded, from 0.95 to 1.05
        ("1.0", {"g", "kg", "tablet", "unheard"}),
    ],
)
def test_what_is_no_unit_of_ucum_is_compared_as_it_is(
    here: Record, value: str, ids: set[str]
) -> None:
    check(here, f"value-quantity={value}", ids)


@covers("quantity", "unit")
@pytest.mark.parametrize(
    ("search", "ids"),
    [
        (f"component-value-quantity=gt140|{UCUM}|mm[Hg]", {"side", "side-too"}),
        (f"component-value-quantity=20.0|{UCUM}|kPa", {"side", "side-too"}),
        (f"component-value-quantity=20.000|{UCUM}|kPa", {"side-too"}),
        (f"component-value-quantity=10|{UCUM}|mm", {"side", "side-too"}),
        (f"component-value-quantity=0.01|{UCUM}|m", {"side", "side-too"}),
        (f"combo-value-quantity=lt0.2|{UCUM}|m", {"side", "side-too"}),
        (f"combo-value-quantity=gt0.7|{UCUM}|g", {"g", "kg", "pound"}),
        (f"value-quantity:missing=false&value-quantity=gt900|{UCUM}|g", {"kg", "pound"}),
    ],
)
def test_units_are_converted_beside_the_row_too(here: Record, search: str, ids: set[str]) -> None:
    check(here, search, ids)
