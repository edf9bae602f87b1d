"""Invariants written by hand: those that compare dates, amounts and codes.

Per type and key of the standard. Each takes a value that is sound in itself and holds in case of
doubt: two dates of which it cannot be said which is the earlier break no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

_UCUM = "http://unitsofmeasure.org"

Holds = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Closure:
    """`needs`: the elements without any one of which the rule holds anyway."""

    holds: Holds
    needs: tuple[str, ...] = ()


def is_ordered(first: str, second: str) -> bool:
    """Whether the FHIR date or dateTime `first` may be at or before `second`."""
    if len(first) == len(second) and (first[19:] == second[19:] or first[-1] == second[-1] == "Z"):
        return first <= second  # nearly always: both as precise, in one zone
    if "T" in first and "T" in second:
        return _moment(first) <= _moment(second)
    if "T" in first or "T" in second:
        # A day without a zone can begin 14 hours earlier or end 12 hours later than in UTC.
        if len(first) >= 10 and len(second) >= 10:
            return _day(first) - 1 <= _day(second)
        first, second = first[:10], second[:10]
    length = min(len(first), len(second))
    return first[:length] <= second[:length]


def _day(text: str) -> int:
    return date.fromisoformat(text[:10]).toordinal()


def _moment(text: str) -> datetime:
    """The instant; a leap second counts as the second before, parts of a microsecond are cut."""
    return datetime.fromisoformat(text[:17] + text[17:].replace("60", "59", 1))


def _rng_2(value: dict[str, Any]) -> bool:
    """A range's low is at most its high, if both have the same unit."""
    low, high = value["low"], value["high"]
    if any(low.get(name) != high.get(name) for name in ("unit", "system", "code")):
        return True
    least, most = low.get("value"), high.get("value")
    return least is None or most is None or bool(least <= most)


def _obs_7(observation: dict[str, Any]) -> bool:
    """An observation with a value has no component with a code of the observation itself."""
    if not any(key.startswith("value") for key in observation):
        return True
    own = _codings(observation)
    return not any(own & _codings(component) for component in observation["component"])


def _codings(coded: dict[str, Any]) -> set[tuple[Any, ...]]:
    codings = coded.get("code", {}).get("coding", ())
    parts = ("system", "version", "code", "display", "userSelected")
    return {tuple(coding.get(part) for part in parts) for coding in codings}


def _age_1(age: dict[str, Any]) -> bool:
    """An age with a value has a code, of UCUM, and is more than nothing."""
    has_code = "code" in age or "value" not in age
    return has_code and age.get("system", _UCUM) == _UCUM and bool(age.get("value", 1) > 0)


def _cnt_3(count: dict[str, Any]) -> bool:
    """A count with a value has the code 1 of UCUM, and no fraction."""
    is_of_one = count.get("code", "1") == "1" and count.get("system", _UCUM) == _UCUM
    has_code = "code" in count or "value" not in count
    return has_code and is_of_one and "." not in str(count.get("value", ""))


def _bdl_7(bundle: dict[str, Any]) -> bool:
    """No two entries of a bundle, unless it is a history, have one fullUrl and version."""
    named = [
        (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId"))
        for entry in bundle["entry"]
        if "fullUrl" in entry
    ]
    return bundle.get("type") == "history" or len(set(named)) == len(named)


def _are_distinct(holders: str, name: str) -> Closure:
    """Whether `name` is unique among the elements `holders`, which lie within each other."""

    def values(holder: dict[str, Any]) -> Iterator[Any]:
        for one in holder.get(holders, ()):
            if name in one:
                yield one[name]
            yield from values(one)

    def holds(value: dict[str, Any]) -> bool:
        found = list(values(value))
        return len(set(found)) == len(found)

    return Closure(holds, (holders,))


def _has_any(*names: str) -> Closure:
    return Closure(lambda value: any(name in value or f"_{name}" in value for name in names))


def _in_order(first: str, second: str) -> Closure:
    return Closure(lambda value: is_ordered(value[first], value[second]), (first, second))


def _not_negative(name: str) -> Closure:
    return Closure(lambda value: bool(value[name] >= 0), (name,))


CLOSURES: Mapping[tuple[str, str], Closure] = MappingProxyType(
    {
        ("Age", "age-1"): Closure(_age_1),
        ("Count", "cnt-3"): Closure(_cnt_3),
        ("Bundle", "bdl-7"): Closure(_bdl_7, ("entry",)),
        ("CodeSystem", "csd-1"): _are_distinct("concept", "code"),
        ("Questionnaire", "que-2"): _are_distinct("item", "linkId"),
        ("Period", "per-1"): _in_order("start", "end"),
        ("Range", "rng-2"): Closure(_rng_2, ("low", "high")),
        ("Observation", "obs-7"): Closure(_obs_7, ("component",)),
        ("Organization", "org-1"): _has_any("identifier", "name"),
        ("InsurancePlan", "ipn-1"): _has_any("identifier", "name"),
        ("MedicationDispense", "mdd-1"): _in_order("whenPrepared", "whenHandedOver"),
        ("Task", "inv-1"): _in_order("authoredOn", "lastModified"),
        ("Linkage", "lnk-1"): Closure(lambda linkage: len(linkage["item"]) > 1),
        ("Timing.repeat", "tim-4"): _not_negative("duration"),
        ("Timing.repeat", "tim-5"): _not_negative("period"),
    }
)
