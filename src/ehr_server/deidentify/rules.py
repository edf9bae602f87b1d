"""What becomes of a value: a rule takes it and gives what is left of it, None for nothing.

https://hl7.org/fhir/R4/datatypes.html. These are the types whose parts have to be looked at
together; `plan` finds a rule for every element of every type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.deidentify import moments
from ehr_server.deidentify.places import province_named
from ehr_server.fhir import references

if TYPE_CHECKING:
    from ehr_server.deidentify.policy import Policy
    from ehr_server.deidentify.pseudonyms import Pseudonyms

MASKED: dict[str, Any] = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
"""What stands where an element must be and may not: https://hl7.org/fhir/R4/extension-data-absent-reason.html"""

UCUM = "http://unitsofmeasure.org"

_DATA_TYPES = "http://hl7.org/fhir/StructureDefinition/"
_CODE = re.compile(r"[A-Za-z0-9_.+\-/:*#^=|<>&%†]{1,64}").fullmatch
_UNIT = re.compile(r"(?:[^\s{}]|\{[A-Za-z_ .:-]{1,25}\}){1,40}").fullmatch
_TOKEN = re.compile(r"(?!.*[0-9]{5})[A-Za-z0-9._/\-]{1,32}").fullmatch
_VERSION = re.compile(r"[0-9A-Za-z.:/_\-]{1,80}").fullmatch
_SAMPLES = re.compile(r"(?:[-+0-9.eE]+|[EUL])(?: (?:[-+0-9.eE]+|[EUL]))*").fullmatch
_COUNTRY = re.compile(r"[A-Za-z]{2,3}").fullmatch
_IN_A_YEAR = {"a": Decimal(1), "mo": Decimal(12), "wk": Decimal("52.18"), "d": Decimal("365.25")}
_NUMBER_MAX = 10**7  # of a number that somebody typed into a form: a telephone has more digits


@dataclass(slots=True)
class At:
    """Where a rule is: in a resource of a person whose dates move by `by`, None without a person.
    `contained` are the ids that references within the resource may lead to; `oldest` is the first
    year of birth that is told, earlier ones are told as it."""

    pseudonyms: Pseudonyms
    by: timedelta | None
    oldest: int
    contained: frozenset[str] = frozenset()


Rule = Callable[[Any, At], Any]


def keep(value: Any, _: At) -> Any:
    """As it is."""
    return value


def drop(_value: Any, _at: At) -> None:
    """Nothing."""


def hashed(value: Any, at: At) -> Any:
    """A pseudonym of a text."""
    return at.pseudonyms.text(value) if isinstance(value, str) else None


def token(value: Any, _: At) -> Any:
    """A short word such as a `linkId`, which is not a number of somebody by its looks."""
    return value if isinstance(value, str) and _TOKEN(value) else None


def small(value: Any, _: At) -> Any:
    """A number that has not as many digits as a telephone."""
    return value if abs(value) < _NUMBER_MAX else None


def samples(value: Any, _: At) -> Any:
    """The numbers of SampledData."""
    return value if isinstance(value, str) and _SAMPLES(value) else None


def year(value: Any, _: At) -> Any:
    """A date cut to its year; of a Period both ends."""
    if isinstance(value, dict):
        return {side: value[side][:4] for side in ("start", "end") if side in value} or None
    return value[:4]


def birth(value: Any, at: At) -> Any:
    """The year of birth on the person's moved calendar; those of great age have one together."""
    if isinstance(value, dict):
        return {side: birth(value[side], at) for side in ("start", "end") if side in value} or None
    found = value if at.by is None else moments.moved(value, at.by)
    return None if found is None else f"{max(int(found[:4]), at.oldest):04d}"


def date_rule(policy: Policy, type_name: str, *, is_end: bool = False) -> Rule:
    """The rule for date, dateTime or instant."""
    is_instant, is_day = type_name == "instant", policy.times == "cut"
    if is_day:
        move = moments.midnight if is_instant else moments.moved_day
        move = moments.moved_end_day if is_end and not is_instant else move
    else:
        move = moments.moved_end if is_end else moments.moved
    is_moved = policy.dates == "shift"

    def rule(value: Any, at: At) -> Any:
        if at.by is not None and is_moved:
            return move(value, at.by)
        return moments.start_of_year(value) if is_instant else value[:4]

    return rule


def coding_rule(policy: Policy) -> Rule:
    """A Coding of a code system that everybody knows; others may hold what only the place knows."""
    has_displays, groups = policy.displays == "keep", policy.codes

    def rule(value: Any, _: At) -> Any:
        system, code = value.get("system"), value.get("code")
        if code is None or not policy.is_public(system) or not _CODE(code):
            return None
        if system in groups:
            return {"system": system, "code": code[: groups[system]]}
        found = {"system": system}
        if (version := value.get("version")) is not None and _VERSION(version):
            found["version"] = version
        found["code"] = code
        if has_displays and "display" in value:
            found["display"] = value["display"]
        return found

    return rule


def quantity_rule(policy: Policy) -> Rule:
    """A number with its unit, to the last digit. Without a unit that is known by its code or its
    name nothing is left, since a number alone would be taken for another measure. Ages over the
    policy's highest are told as one more."""
    oldest = policy.age_max

    def rule(value: Any, _: At) -> Any:
        number, system, code = value.get("value"), value.get("system"), value.get("code")
        unit = value.get("unit")
        found: dict[str, Any] = {}
        if number is not None:
            found["value"] = number
        if "comparator" in value:
            found["comparator"] = value["comparator"]
        if code is not None:
            if not policy.is_public(system) or not (_UNIT if system == UCUM else _CODE)(code):
                return None
            found["unit"] = unit if unit in policy.units else code
            found["system"], found["code"] = system, code
        elif unit is not None:
            if unit not in policy.units:
                return None
            found["unit"] = unit
        of_year = _IN_A_YEAR.get(code or "")
        if of_year is not None and number is not None and number >= (oldest + 1) * of_year:
            found["value"] = round((oldest + 1) * of_year)
        return found or None

    return rule


def identifier_rule(policy: Policy, inside: dict[str, Rule]) -> Rule:
    """An Identifier with a pseudonym: the same for every spelling of the number."""
    if policy.identifiers == "drop":
        return drop

    def rule(value: Any, at: At) -> Any:
        number = value.get("value")
        if not isinstance(number, str):
            return None
        found: dict[str, Any] = {}
        for name in ("use", "type"):
            if name in value and (kept := inside[name](value[name], at)) is not None:
                found[name] = kept
        system, pseudonym = at.pseudonyms.number(value.get("system"), number)
        if system is not None:
            found["system"] = system
        found["value"] = pseudonym
        return found

    return rule


def reference_rule(policy: Policy, identifier: Rule) -> Rule:
    """A Reference to the pseudonym of what it is to; what cannot be named keeps its type."""
    types = definitions().type_number

    def target(text: str, at: At) -> str | None:
        to = references.parse(text)
        if to.kind == "local" and to.type in types and to.id is not None:
            return f"{to.type}/{at.pseudonyms.id(to.type, to.id)}"
        if to.kind == "contained":
            if not to.text:
                return "#"
            return "#" + at.pseudonyms.id("#", to.text) if to.text in at.contained else None
        if to.kind == "canonical" and policy.is_canonical(text):
            return text
        return at.pseudonyms.uuid(to.text)

    def rule(value: Any, at: At) -> Any:
        found: dict[str, Any] = {}
        if "reference" in value and (to := target(value["reference"], at)) is not None:
            found["reference"] = to
        of = value.get("type")
        if of is not None and of.removeprefix(_DATA_TYPES) in types:
            found["type"] = of
        if "identifier" in value and (number := identifier(value["identifier"], at)) is not None:
            found["identifier"] = number
        return found or None

    return rule


def address_rule(policy: Policy, extensions: Rule) -> Rule:
    """What is left of an Address: its province, or its country alone."""
    if policy.addresses == "drop":
        return drop
    has_province = policy.addresses == "province"

    def rule(value: Any, at: At) -> Any:
        found: dict[str, Any] = {}
        if has_province:
            coded = extensions(value["extension"], at) if "extension" in value else None
            if coded is not None:
                found["extension"] = coded
            name = province_named(value["state"]) if "state" in value else None
            if name is not None:
                found["state"] = name
        if "country" in value and _COUNTRY(value["country"]):
            found["country"] = value["country"]
        if found and "use" in value:
            found["use"] = value["use"]
        return found or None

    return rule
