"""Rare things, put in on purpose: as many at every size, so that answers are of equal size.

They lie with the first thousand residents, so that they are there from the smallest size on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaign import systems
from campaign.parts import concept, decimal, identifier, quantity

if TYPE_CHECKING:
    from collections.abc import Callable

Resource = dict[str, Any]

FAMILY = "Khuất"
HAMLET = "Xóm Núi Cấm"
RARE = "http://example.org/fhir/CodeSystem/rare"
RARE_CODE = "CORTISOL"
PLAGUE = "A20.9"
SMALL_CODE = "01599"
SMALL_ID = "organization-3"
GLUCOSE, HAEMOGLOBIN, PANEL, SYSTOLIC = "14771-0", "718-7", "85354-9", "8480-6"

SMALL_STATION: Resource = {
    "resourceType": "Organization",
    "id": SMALL_ID,
    "identifier": [identifier(systems.FACILITY, SMALL_CODE)],
    "active": True,
    "name": "Trạm Y tế Núi Cấm",
}


@dataclass(frozen=True, slots=True)
class Plant:
    """Every `step`-th resident below `below` has it, beginning with number `first`."""

    step: int
    first: int
    below: int
    put: Callable[[list[Resource]], None]


def plant(number: int, resources: list[Resource]) -> None:
    """Changes a resident's resources, the Patient first among them, in place."""
    for one in PLANTS:
        if number < one.below and number % one.step == one.first:
            one.put(resources)


def _family(resources: list[Resource]) -> None:
    name = resources[0]["name"][0]
    name["family"] = FAMILY
    name["text"] = " ".join((FAMILY, *name["given"]))


def _address(resources: list[Resource]) -> None:
    address = resources[0]["address"][0]
    address["line"] = [HAMLET]
    address["text"] = f"{HAMLET}, {address['city']}"


def _station(resources: list[Resource]) -> None:
    _encounter(resources)["serviceProvider"] = {"reference": f"Organization/{SMALL_ID}"}


def _glucose(resources: list[Resource]) -> None:
    code = concept(systems.LOINC, GLUCOSE, "Fasting glucose", "Glucose máu lúc đói")
    value = quantity(decimal(99.9, 2), "mmol/L")
    _add(resources, "glucose", "laboratory", code, valueQuantity=value)


def _haemoglobin(resources: list[Resource]) -> None:
    """In another unit than all others: 288 g/L."""
    code = concept(systems.LOINC, HAEMOGLOBIN, "Hemoglobin", "Huyết sắc tố")
    value = quantity(decimal(28.8, 1), "g/dL")
    _add(resources, "haemoglobin", "laboratory", code, valueQuantity=value)


def _pressure(resources: list[Resource]) -> None:
    systolic = {
        "code": concept(systems.LOINC, SYSTOLIC, "Systolic blood pressure"),
        "valueQuantity": quantity(250, "mm[Hg]"),
    }
    code = concept(systems.LOINC, PANEL, "Blood pressure panel", "Huyết áp")
    _add(resources, "pressure", "vital-signs", code, component=[systolic])


def _rare_code(resources: list[Resource]) -> None:
    code = concept(RARE, RARE_CODE, "Cortisol", "Cortisol máu buổi sáng")
    value = quantity(decimal(412.5, 1), "nmol/L")
    _add(resources, "rare", "laboratory", code, status="amended", valueQuantity=value)


def _plague(resources: list[Resource]) -> None:
    resources.append(
        {
            "resourceType": "Condition",
            "id": f"{resources[0]['id'][:8]}planted-plague",
            "category": [concept(systems.CONDITION_CATEGORY, "encounter-diagnosis")],
            "code": concept(systems.ICD10, PLAGUE, "Plague, unspecified", "Dịch hạch"),
            "subject": {"reference": f"Patient/{resources[0]['id']}"},
            "encounter": {"reference": f"Encounter/{_encounter(resources)['id']}"},
            "recordedDate": _encounter(resources)["period"]["end"],
        }
    )


def _add(
    resources: list[Resource], name: str, category: str, code: Resource, **value: object
) -> None:
    resources.append(
        {
            "resourceType": "Observation",
            "id": f"{resources[0]['id'][:8]}planted-{name}",
            "status": "final",
            "category": [concept(systems.OBSERVATION_CATEGORY, category)],
            "code": code,
            "subject": {"reference": f"Patient/{resources[0]['id']}"},
            "encounter": {"reference": f"Encounter/{_encounter(resources)['id']}"},
            "effectiveDateTime": _encounter(resources)["period"]["start"],
            **value,
        }
    )


def _encounter(resources: list[Resource]) -> Resource:
    return next(one for one in resources if one["resourceType"] == "Encounter")


PLANTS = (
    Plant(25, 7, 1000, _family),  # 40 residents
    Plant(50, 13, 1000, _address),  # 20
    Plant(16, 3, 960, _station),  # 60 visits
    Plant(33, 5, 990, _glucose),  # 30 Observations
    Plant(50, 21, 1000, _haemoglobin),  # 20
    Plant(50, 37, 1000, _pressure),  # 20
    Plant(33, 9, 990, _rare_code),  # 30
    Plant(40, 11, 1000, _plague),  # 25 Conditions
)
