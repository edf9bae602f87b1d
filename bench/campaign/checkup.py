"""One checkup of one resident, as the transaction that a commune's health station sends."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Literal

from campaign import systems
from campaign.conclusion import conclude
from campaign.examination import examination
from campaign.health import health
from campaign.history import history
from campaign.imaging import imaging
from campaign.laboratory import laboratory
from campaign.parts import Resource, coding, concept, identifier, reference
from campaign.registration import coverage, organization_of, patient, related_person, soil
from campaign.visit import Visit
from campaign.vital_signs import vital_signs

if TYPE_CHECKING:
    from campaign.people import Resident
    from campaign.places import Commune

Size = Literal["full", "short", "reception"]
VIETNAM = timezone(timedelta(hours=7))

_FORMS = (  # below so many months of age
    (2, "infant-0-2-months", "Trẻ 0 đến dưới 2 tháng"),
    (4, "infant-2-3-months", "Trẻ 2 đến 3 tháng"),
    (7, "infant-4-6-months", "Trẻ 4 đến 6 tháng"),
    (10, "infant-7-9-months", "Trẻ 7 đến 9 tháng"),
    (13, "infant-10-12-months", "Trẻ 10 đến 12 tháng"),
    (19, "infant-13-18-months", "Trẻ 13 đến 18 tháng"),
    (24, "infant-19-24-months", "Trẻ 19 đến dưới 24 tháng"),
    (6 * 12, "child-2-6", "Trẻ 2 đến dưới 6 tuổi"),
    (18 * 12, "child-6-18", "Từ đủ 6 đến dưới 18 tuổi"),
    (200 * 12, "adult", "Từ đủ 18 tuổi"),
)
_DAYS = 60  # a campaign runs from July to September


def checkup(
    resident: Resident, commune: Commune, moment: tuple[int, int], size: Size = "full",
    dirty: float = 0.0,
) -> list[Resource]:  # fmt: skip
    """The Bundle entries of a checkup; `moment` is its year and the seed of the campaign.

    A full checkup of an adult has about 60 resources, a short one (vital signs, questionnaire,
    specialists, conclusion, neither laboratory nor imaging) about 35, what the reception writes
    (person, card, kin, Encounter) 3 or 4. Empty before birth.
    """
    year, seed = moment
    random = Random(f"{seed}/{resident.number}/{year}")
    start = _start(random, year)
    if resident.born >= start.date():
        return []
    age = (start.date() - resident.born).days / 365.25
    key = f"{commune.station.code}.{year}.{resident.number:07d}"
    visit = Visit(resident, health(resident, seed, age), commune, random, start, key)
    _register(visit, dirty)
    visit.encounter = visit.add(_encounter(visit))
    if size == "reception":
        return visit.entries
    history(visit)
    vital_signs(visit)
    examined = examination(visit)
    if size == "full" and visit.age >= 6:
        laboratory(visit)
    if size == "full" and visit.age >= 18:
        imaging(visit)
    conclude(visit, examined)
    return visit.entries


def _register(visit: Visit, dirty: float) -> None:
    """The person, only made where the card's number is not known; card and kin with him."""
    resident = visit.resident
    found = patient(resident, visit.commune)
    if dirty and visit.random.random() < dirty:
        soil(found, visit.random)
    number = found["identifier"][0]
    visit.patient = visit.add(found, f"identifier={number['system']}|{number['value']}")
    card = f"identifier={systems.BHYT}|{resident.bhyt}"
    visit.add(coverage(resident, visit.patient, visit.start.year), card)
    if resident.kin is not None and resident.kin.cccd is not None:
        parent = related_person(resident.kin, visit.patient)
        kinship = f"{resident.bhyt}-{resident.kin.cccd}"
        parent["identifier"].append(identifier(systems.KINSHIP, kinship))
        visit.add(parent, f"identifier={systems.KINSHIP}|{kinship}")


def _encounter(visit: Visit) -> Resource:
    station = visit.commune.station
    return {
        "resourceType": "Encounter",
        "extension": [{"url": systems.FUNDING_EXTENSION,
                       "valueCoding": coding(systems.FUNDING, "2", "Ngân sách địa phương")}],
        "identifier": [identifier(systems.VISIT, visit.key)],
        "status": "finished",
        "class": coding(systems.ACT_CODE, "AMB", "ambulatory"),
        "type": [concept(systems.SNOMED, "185349003", "Encounter for check up",
                         "Khám sức khỏe định kỳ"),
                 concept(systems.CHECKUP_FORM, *_form(visit))],
        "subject": {"reference": visit.patient},
        "participant": [{"individual": visit.doctor("internal")},
                        {"individual": visit.doctor("conclusion")}],
        "period": {"start": visit.when(0), "end": visit.when(125)},
        "reasonCode": [concept(systems.SUBJECT_GROUP, _group(visit), text="Khám miễn phí")],
        "serviceProvider": reference(organization_of(station), station.name),
    }  # fmt: skip


def _group(visit: Visit) -> str:
    """The group of the person examined (QĐ 2062): elderly, poor, child, pupil, worker, other."""
    if visit.age >= 60:
        return "1"
    if visit.resident.bhyt[:2] in {"HN", "CN"}:
        return "3"
    if visit.age < 18:
        return "10" if visit.age < 6 else "11"
    return "13" if visit.resident.bhyt[:2] in {"DN", "HC"} else "14"


def _form(visit: Visit) -> tuple[str, str]:
    """The form for the age, with its display."""
    days = (visit.start.date() - visit.resident.born).days
    return next((code, text) for below, code, text in _FORMS if days < below * 365.25 / 12)


def _start(random: Random, year: int) -> datetime:
    day = date(year, 7, 15) + timedelta(days=random.randrange(_DAYS))
    morning = timedelta(hours=7, minutes=15 * random.randrange(14))
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM) + morning
