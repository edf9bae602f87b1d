"""What stands before the first checkup: facilities, staff, and the person with card and kin."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, coding, concept, conditional, identifier, reference

if TYPE_CHECKING:
    from random import Random

    from campaign.names import Name
    from campaign.people import Resident
    from campaign.places import Commune, Facility, Staff

_OCCUPATIONS = {
    "01": "Trẻ em", "02": "Học sinh, sinh viên", "03": "Hưu trí", "04": "Công nhân",
    "05": "Nông dân", "06": "Lực lượng vũ trang", "07": "Trí thức", "08": "Hành chính",
    "09": "Y tế", "10": "Dịch vụ",
}  # fmt: skip
_CARD_TYPES = {"TE", "HS", "SV", "DN", "HT", "GD", "CC", "HN", "HC", "CH", "CN", "QN"}


def organization(facility: Facility, part_of: Facility | None = None) -> Resource:
    """A facility; the commune's station belongs to the hospital that supports it."""
    found: Resource = {
        "resourceType": "Organization",
        "identifier": [identifier(systems.FACILITY, facility.code)],
        "active": True,
        "type": [concept(systems.ORGANIZATION_TYPE, "prov", "Healthcare Provider")],
        "name": facility.name,
        "telecom": [{"system": "phone", "value": facility.phone, "use": "work"}],
    }
    if part_of is not None:
        found["partOf"] = reference(organization_of(part_of))
    return found


def practitioner(member: Staff) -> Resource:
    return {
        "resourceType": "Practitioner",
        "identifier": [identifier(systems.LICENCE, member.licence)],
        "active": True,
        "name": [
            {"text": member.text, "family": member.family, "given": [*member.given],
             "prefix": ["BS."]}
        ],
        "gender": member.sex,
    }  # fmt: skip


def organization_of(facility: Facility) -> str:
    """The conditional reference to a facility."""
    return conditional("Organization", systems.FACILITY, facility.code)


def practitioner_of(member: Staff) -> str:
    """The conditional reference to a member of the staff."""
    return conditional("Practitioner", systems.LICENCE, member.licence)


def patient(resident: Resident, commune: Commune) -> Resource:
    """The Patient: without a CCCD only where the resident has none."""
    numbers = [
        {"use": "official", "type": concept(systems.IDENTIFIER_TYPE, "SB"),
         **identifier(systems.BHYT, resident.bhyt)},
    ]  # fmt: skip
    if resident.cccd is not None:
        numbers.insert(
            0,
            {"use": "official", "type": concept(systems.IDENTIFIER_TYPE, "NI"),
             **identifier(systems.CCCD, resident.cccd)},
        )  # fmt: skip
    people = resident.household.people
    found: Resource = {
        "resourceType": "Patient",
        "extension": [
            {"url": systems.ETHNICITY_EXTENSION,
             "valueCodeableConcept": concept(systems.ETHNICITY, people.code, people.name)},
            {"url": systems.OCCUPATION_EXTENSION,
             "valueCodeableConcept": concept(
                 systems.OCCUPATION, resident.occupation, _OCCUPATIONS[resident.occupation])},
        ],
        "identifier": numbers,
        "active": True,
        "name": [_human_name(resident.name)],
        "gender": resident.sex,
        "birthDate": str(resident.born.year) if resident.is_year_only else str(resident.born),
        "address": [_address(resident, commune)],
        "managingOrganization": reference(organization_of(commune.station)),
    }  # fmt: skip
    if resident.phone is not None:
        found["telecom"] = [{"system": "phone", "value": resident.phone, "use": "mobile"}]
    return found


def coverage(resident: Resident, patient_url: str, year: int) -> Resource:
    """The health insurance (BHYT) of a resident in a year, by the group in the card's number."""
    group = resident.bhyt[:2]
    found: Resource = {
        "resourceType": "Coverage",
        "identifier": [identifier(systems.BHYT, resident.bhyt)],
        "status": "active",
        "subscriberId": resident.bhyt,
        "beneficiary": reference(patient_url),
        "period": {"start": str(max(resident.born, date(year, 1, 1))), "end": f"{year}-12-31"},
        "payor": [{"display": "Bảo hiểm xã hội Việt Nam"}],
    }
    if group in _CARD_TYPES:
        found["extension"] = [
            {"url": systems.CARD_TYPE_EXTENSION, "valueCoding": coding(systems.CARD_TYPE, group)}
        ]
    return found


def related_person(kin: Resident, patient_url: str) -> Resource:
    """The parent who cares for a child and lives in the same household."""
    relation = concept(systems.RELATIONSHIP, "MTH" if kin.sex == "female" else "FTH")
    found: Resource = {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": reference(patient_url),
        "relationship": [relation, concept(systems.RELATIONSHIP, "GUARD")],
        "name": [_human_name(kin.name)],
        "gender": kin.sex,
    }
    if kin.cccd is not None:
        found["identifier"] = [identifier(systems.CCCD, kin.cccd)]
    if kin.phone is not None:
        found["telecom"] = [{"system": "phone", "value": kin.phone, "use": "mobile"}]
    return found


def soil(patient_: Resource, random: Random) -> None:
    """Makes the name dirty as real feeds have it: upper-case, decomposed or without accents."""
    name: Resource = patient_["name"][0]
    way = random.choice((str.upper, _decomposed, _folded))
    name["text"] = way(name["text"])
    if "family" in name:
        name["family"] = way(name["family"])
    name["given"] = [way(given) for given in name["given"]]


def _human_name(name: Name) -> Resource:
    found: Resource = {"use": "official", "text": name.text}
    if name.family is not None:
        found["family"] = name.family
    found["given"] = [*name.given]
    return found


def _address(resident: Resident, commune: Commune) -> Resource:
    household = resident.household
    line = f"Số {household.house}, {household.village}"
    return {
        "extension": [
            {"url": systems.PROVINCE_EXTENSION,
             "valueCoding": coding(systems.PROVINCE, commune.province, commune.province_name)},
            {"url": systems.WARD_EXTENSION,
             "valueCoding": coding(systems.WARD, commune.ward, commune.name)},
        ],
        "use": "home",
        "text": f"{line}, {commune.name}, {commune.province_name}",
        "line": [line],
        "city": commune.name,
        "state": commune.province_name,
        "country": "VN",
    }  # fmt: skip


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _folded(text: str) -> str:
    marks_gone = "".join(c for c in _decomposed(text) if not unicodedata.combining(c))
    return marks_gone.replace("đ", "d").replace("Đ", "D")
