"""What two records are compared by: a Patient reduced to names, birth, sex, place, kin and numbers.

https://hl7.org/fhir/R4/patient.html. Read once, compared often.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ehr_server.identity import forms
from ehr_server.identity.folding import fold
from ehr_server.identity.kinds import PASSPORT, Number, kind_of
from ehr_server.identity.names import Name, name, names_of

MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
_SEXES = frozenset(("male", "female"))
_MOTHER = frozenset(("MTH", "NMTH"))
_NO_PHONE = re.compile(r"(\d)\1*")  # 0000000000 stands for none
_PHONE_MIN = 6  # digits
_SEVERAL = 8  # of a kind that are looked at
_PARTIAL_DAY = "-01-01"  # what stands for a day that nobody knows


@dataclass(frozen=True, slots=True)
class Outline:
    """What records of one person are found by (`identity.blocks`). `birth` is a FHIR date, perhaps
    of a year or month alone, "" if unknown; `wards` are codes, or folded names."""

    names: tuple[Name, ...]
    birth: str
    wards: frozenset[str]
    mothers: tuple[Name, ...]

    @property
    def year(self) -> str:
        return self.birth[:4]

    @property
    def day(self) -> str:
        """The birth date, if it is known to the day; "" else."""
        return self.birth if len(self.birth) == len("2026-12-31") else ""

    @property
    def is_day_assumed(self) -> bool:
        return self.day.endswith(_PARTIAL_DAY)


@dataclass(frozen=True, slots=True)
class Person(Outline):
    """`sex` is male, female or "". `lines` are whole addresses, folded. Of `single` numbers in
    force nobody else has the same; `numbers` are all of known lists but passports, old ones too;
    `local` those of one facility, or of a naming system that is not known."""

    sex: str
    provinces: frozenset[str]
    lines: frozenset[str]
    phones: frozenset[str]
    single: frozenset[forms.Single]
    numbers: frozenset[Number]
    local: frozenset[Number]


def person(patient: Mapping[str, Any], today: str) -> Person:
    """The traits of a Patient. `today` is a FHIR date: numbers whose period ended before it are
    old."""
    found = outline(patient)
    addresses = list(_objects(patient, "address"))
    sex = _text(patient, "gender")
    single, numbers, local = _numbers(_objects(patient, "identifier"), today)
    return Person(
        found.names,
        found.birth,
        found.wards,
        found.mothers,
        sex=sex if sex in _SEXES else "",
        provinces=_codes(addresses, "province"),
        lines=frozenset(filter(None, map(_line, addresses))),
        phones=_phones(_objects(patient, "telecom")),
        single=single,
        numbers=numbers,
        local=local,
    )


def outline(patient: Mapping[str, Any]) -> Outline:
    """What a Patient is found by among records of one person."""
    return Outline(
        names_of(patient.get("name")),
        _text(patient, "birthDate"),
        _codes(_objects(patient, "address"), "ward"),
        tuple(_mothers(patient)),
    )


def _text(element: Mapping[str, Any], key: str) -> str:
    value = element.get(key)
    return value if isinstance(value, str) else ""


def _objects(element: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    several = element.get(key)
    for one in several[:_SEVERAL] if isinstance(several, list) else ():
        if isinstance(one, dict):
            yield one


def _numbers(
    identifiers: Iterable[dict[str, Any]], today: str
) -> tuple[frozenset[forms.Single], frozenset[Number], frozenset[Number]]:
    single: set[forms.Single] = set()
    numbers: set[Number] = set()
    local: set[Number] = set()
    for one in identifiers:
        system, value = _text(one, "system"), _text(one, "value").strip()
        kind = kind_of(system) if value else None
        if kind is None or kind.is_free:
            if value:
                local.add((system, value.casefold()))
            continue
        normal = kind.normal(value)
        if kind.has_shape(normal):
            numbers.update(one for one in kind.numbers_of(normal) if one[0] != PASSPORT)
        if _is_in_force(one, today):
            single.update(forms.single(one))
    return frozenset(single), frozenset(numbers), frozenset(local)


def _is_in_force(identifier: Mapping[str, Any], today: str) -> bool:
    period = identifier.get("period")
    end = _text(period, "end") if isinstance(period, dict) else ""
    return identifier.get("use") != "old" and (not end or end[:10] >= today[: len(end[:10])])


def _codes(addresses: Iterable[dict[str, Any]], unit: str) -> frozenset[str]:
    """The codes of an administrative unit, by the extensions of HL7 Vietnam's guide, the
    Ministry's or our own, whose urls all end with its name; for want of one its folded name."""
    found: set[str] = set()
    for address in addresses:
        for extension in _objects(address, "extension"):
            if unit in _text(extension, "url").rpartition("/")[2]:
                found.update(_coded(extension))
        if not found and unit == "ward" and (place := _text(address, "city")):
            found.add(fold(f"{place}, {_text(address, 'state')}")[:100])
        if not found and unit == "province" and (place := _text(address, "state")):
            found.add(fold(place)[:100])
    return frozenset(found)


def _coded(extension: Mapping[str, Any]) -> Iterator[str]:
    for key, value in extension.items():
        if key == "valueCoding" and isinstance(value, dict) and _text(value, "code"):
            yield value["code"]
        elif key == "valueCodeableConcept" and isinstance(value, dict):
            yield from (code for one in _objects(value, "coding") if (code := _text(one, "code")))
        elif key in ("valueCode", "valueString") and isinstance(value, str):
            yield value


def _line(address: Mapping[str, Any]) -> str:
    lines = address.get("line")
    several = [one for one in lines if isinstance(one, str)] if isinstance(lines, list) else []
    return fold(", ".join(several) or _text(address, "text"))[:200]


def _phones(telecom: Iterable[dict[str, Any]]) -> frozenset[str]:
    """Digits alone, as they are dialled in the country."""
    found: set[str] = set()
    for one in telecom:
        if one.get("system") in ("phone", "sms"):
            digits = "".join(filter(str.isdecimal, _text(one, "value")[:40]))
            digits = f"0{digits[2:]}" if digits.startswith("84") and len(digits) > 10 else digits
            if len(digits) >= _PHONE_MIN and not _NO_PHONE.fullmatch(digits[1:]):
                found.add(digits)
    return frozenset(found)


def _mothers(patient: Mapping[str, Any]) -> Iterator[Name]:
    for extension in _objects(patient, "extension"):
        if extension.get("url") == MAIDEN_NAME:
            maiden = name(_text(extension, "valueString"))
            if maiden is not None:
                yield maiden
    for contact in _objects(patient, "contact"):
        codes = {
            _text(coding, "code")
            for relationship in _objects(contact, "relationship")
            for coding in _objects(relationship, "coding")
        }
        if codes & _MOTHER:
            yield from names_of([contact.get("name")])
