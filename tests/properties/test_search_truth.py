"""What the database finds is what a plain reading of the standard finds, resource by resource.

https://hl7.org/fhir/R4/search.html#prefix
"""

import random
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ehr_server.fhir.dates import Span, period, span
from searching import HANOI, Record, record

PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
COUNT = 150


def _day(chance: random.Random) -> str:
    """A date of any precision within two years."""
    month, day, hour = chance.randint(1, 12), chance.randint(1, 28), chance.randint(0, 23)
    minute, zone = chance.choice(("00", "30")), chance.choice(("Z", "+07:00"))
    text = f"{chance.choice(('2023', '2024'))}-{month:02}-{day:02}"
    time = f"T{hour:02}:{minute}:00{zone}"
    return chance.choice((text[:4], text[:7], text, text + time))


def _observation(chance: random.Random, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"text": "x"},
    }
    start, end = sorted((_day(chance), _day(chance)))
    match chance.randint(0, 4):
        case 0:
            found["effectivePeriod"] = {"start": start[:10], "end": end[:10]}
        case 1:
            found["effectivePeriod"] = chance.choice(({"start": start}, {"end": end}))
        case 2 | 3:
            found["effectiveDateTime"] = start
    match chance.randint(0, 3):
        case 0:
            found["valueDateTime"] = start
        case 1:
            found["valuePeriod"] = {"start": start[:10], "end": end[:10]}
        case 2:
            found["valueQuantity"] = {"value": _number(chance)}
    return found


def _number(chance: random.Random) -> Decimal:
    return Decimal(chance.randint(-300, 300)).scaleb(chance.choice((-2, -1, 0)))


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    chance = random.Random(3)
    return [_observation(chance, number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def here(module_database: str, resources: list[dict[str, Any]]) -> Iterator[Record]:
    with record(module_database) as found:
        found.put(*resources)
        yield found


@pytest.mark.parametrize(("code", "element"), [("date", "effective"), ("value-date", "value")])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_dates(
    here: Record, resources: list[dict[str, Any]], prefix: str, code: str, element: str
) -> None:
    chance = random.Random(f"{prefix}{code}")
    for _ in range(40):
        value = _day(chance)
        searched = span(value, HANOI)
        truth = {
            resource["id"]
            for resource in resources
            for own in _spans(resource, element)
            if _is_met(prefix, searched, own)
        }
        text = value.replace("+", "%2B")
        assert set(here.ids(f"Observation?{code}={prefix}{text}")) == truth, f"{prefix}{value}"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_numbers(here: Record, resources: list[dict[str, Any]], prefix: str) -> None:
    chance = random.Random(prefix)
    for _ in range(40):
        value = _number(chance)
        half = Decimal(1).scaleb(int(value.as_tuple().exponent)) / 2
        truth = {
            resource["id"]
            for resource in resources
            if "valueQuantity" in resource
            and _compares(prefix, resource["valueQuantity"]["value"], value, half)
        }
        found = here.ids(f"Observation?value-quantity={prefix}{value}")
        assert set(found) == truth, f"{prefix}{value}"


def _spans(resource: dict[str, Any], element: str) -> list[Span]:
    if text := resource.get(f"{element}DateTime"):
        return [span(text, HANOI)]
    if own := resource.get(f"{element}Period"):
        return [period(own.get("start"), own.get("end"), HANOI)]
    return []


def _is_met(prefix: str, searched: Span, own: Span) -> bool:
    """The words of the standard, with the spans as sets of moments."""
    is_within = searched[0] <= own[0] and own[1] <= searched[1]
    reaches_above = _overlap((searched[1], datetime.max.replace(tzinfo=own[0].tzinfo)), own)
    reaches_below = _overlap((datetime.min.replace(tzinfo=own[0].tzinfo), searched[0]), own)
    return {
        "": is_within,
        "eq": is_within,
        "ne": not is_within,
        "gt": reaches_above,
        "lt": reaches_below,
        "ge": reaches_above or is_within,
        "le": reaches_below or is_within,
        "sa": own[0] >= searched[1],
        "eb": own[1] <= searched[0],
    }[prefix]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _compares(prefix: str, own: Decimal, value: Decimal, half: Decimal) -> bool:
    is_equal = value - half <= own < value + half
    return {
        "": is_equal,
        "eq": is_equal,
        "ne": not is_equal,
        "gt": own > value,
        "sa": own > value,
        "lt": own < value,
        "eb": own < value,
        "ge": own >= value,
        "le": own <= value,
    }[prefix]
