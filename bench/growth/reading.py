"""Small readings of resources, for what questions must find: in plain words, not by the index."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from growth.record import Record

Resource = dict[str, Any]
Hit = tuple[tuple[Any, ...], str]  # what it is ordered by, the smallest first, and the id


def hits(resources: Iterable[Resource]) -> list[Hit]:
    """Of resources whose order does not matter."""
    return [((), one["id"]) for one in resources]


def newest(resources: Iterable[Resource]) -> list[Hit]:
    """Of Observations and Encounters, the newest first."""
    return [((-moment(one),), one["id"]) for one in resources]


def moment(resource: Resource) -> float:
    """When it was, in seconds: an Observation's moment, the beginning of an Encounter."""
    text = resource.get("effectiveDateTime") or resource["period"]["start"]
    return datetime.fromisoformat(text).timestamp()


def day(resource: Resource) -> str:
    """The day, where the campaign is, as `2026-08-01`."""
    text: str = resource.get("effectiveDateTime") or resource["period"]["start"]
    return text[:10]


def born(patient: Resource) -> int:
    """The first day that the birth date may mean, as a number that grows."""
    text = patient["birthDate"]
    return date.fromisoformat(text if len(text) == 10 else f"{text}-01-01").toordinal()


def plain(text: str) -> str:
    """Lower case, without tones, accents and đ."""
    apart = unicodedata.normalize("NFD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one)).replace("đ", "d")


def family(patient: Resource) -> str:
    """The family name, plain; empty where there is none."""
    return plain(patient["name"][0].get("family", ""))


def words(patient: Resource) -> list[str]:
    """The words of the name, plain."""
    return plain(patient["name"][0]["text"]).split()


def number_of(patient: Resource, value: str) -> bool:
    return any(one["value"] == value for one in patient["identifier"])


def codes(concept: Resource) -> set[str]:
    return {one["code"] for one in concept.get("coding", ())}


def value(observation: Resource) -> float:
    """The number of its quantity; below all others where there is none."""
    found = observation.get("valueQuantity")
    return float("-inf") if found is None else float(found["value"])


def is_above(observation: Resource, bound: float, unit: str) -> bool:
    """Whether its quantity is in that unit and greater than the bound."""
    found = observation.get("valueQuantity", {})
    return found.get("code") == unit and float(found["value"]) > bound


def component_above(observation: Resource, code: str, bound: float) -> bool:
    return any(
        code in codes(part["code"]) and value(part) > bound
        for part in observation.get("component", ())
    )


def is_category(resource: Resource, code: str) -> bool:
    return any(code in codes(one) for one in resource.get("category", ()))


def provider(record: Record) -> str:
    """The id of the facility of the visit."""
    reference: str = record.encounter["serviceProvider"]["reference"]
    return reference.partition("/")[2]
