"""Vital signs: https://hl7.org/fhir/R4/observation-vitalsigns.html."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, concept, decimal, quantity

if TYPE_CHECKING:
    from campaign.visit import Visit

_HIGH = concept(systems.INTERPRETATION, "H", "High", "Cao")
_NORMAL = concept(systems.INTERPRETATION, "N", "Normal", "Bình thường")
_LOW = concept(systems.INTERPRETATION, "L", "Low", "Thấp")

# code, display, text, unit, decimal places
_HEIGHT = ("8302-2", "Body height", "Chiều cao", "cm", 1)
_LENGTH = ("8306-3", "Body height --lying", "Chiều dài", "cm", 1)
_WEIGHT = ("29463-7", "Body weight", "Cân nặng", "kg", 1)
_BMI = ("39156-5", "Body mass index (BMI) [Ratio]", "Chỉ số BMI", "kg/m2", 1)
_WAIST = ("8280-0", "Waist Circumference at umbilicus by Tape measure", "Vòng bụng", "cm", 0)
_HEAD = ("9843-4", "Head Occipital-frontal circumference", "Vòng đầu", "cm", 1)
_PULSE = ("8867-4", "Heart rate", "Mạch", "/min", 0)
_BREATHS = ("9279-1", "Respiratory rate", "Nhịp thở", "/min", 0)
_HEAT = ("8310-5", "Body temperature", "Nhiệt độ", "Cel", 1)
_OXYGEN = (
    "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "SpO2", "%", 0,
)  # fmt: skip

Sign = tuple[str, str, str, str, int]


def vital_signs(visit: Visit) -> None:
    """Body measures, pulse, breath, temperature, oxygen, and blood pressure from 3 years on."""
    health, age = visit.health, visit.age
    gauss = visit.random.gauss
    _sign(visit, _LENGTH if age < 2 else _HEIGHT, health.height)
    _sign(visit, _WEIGHT, health.weight, _grade(health.bmi, 18.5, 25) if age >= 18 else None)
    _sign(visit, _BMI, health.bmi, _grade(health.bmi, 18.5, 25) if age >= 18 else None)
    if age >= 18:
        _sign(visit, _WAIST, health.waist)
    if age < 6:
        _sign(visit, _HEAD, 35 + 14 * (age / 6) ** 0.4)
    _sign(visit, _PULSE, gauss(74 if age >= 12 else 96, 8))
    _sign(visit, _BREATHS, gauss(17 if age >= 12 else 24, 1.5))
    _sign(visit, _HEAT, gauss(36.7, 0.2))
    _sign(visit, _OXYGEN, min(100, gauss(98, 0.9)))
    if age >= 3:
        _blood_pressure(visit)


def _sign(visit: Visit, sign: Sign, value: float, grade: Resource | None = None) -> None:
    code, display, text, unit, places = sign
    more: Resource = {"valueQuantity": quantity(decimal(value, places), unit)}
    if grade is not None:
        more["interpretation"] = [grade]
    named = concept(systems.LOINC, code, display, text)
    visit.file(
        "vital-signs",
        visit.add(visit.observation("vital-signs", named, 5, "internal", **more)),
    )


def _blood_pressure(visit: Visit) -> None:
    """The panel with its two components."""
    systolic = round(visit.health.systolic + visit.random.gauss(0, 5))
    diastolic = min(systolic - 15, round(visit.health.diastolic + visit.random.gauss(0, 4)))
    is_high = systolic >= 140 or diastolic >= 90
    if is_high and visit.age >= 18:
        visit.findings["I10"] = "Tăng huyết áp vô căn (nguyên phát)"
    panel = visit.observation(
        "vital-signs",
        concept(systems.LOINC, "85354-9", "Blood pressure panel with all children optional",
                "Huyết áp"),
        5,
        "internal",
        interpretation=[_HIGH if is_high else _NORMAL],
        component=[
            {"code": concept(systems.LOINC, "8480-6", "Systolic blood pressure"),
             "valueQuantity": quantity(systolic, "mm[Hg]")},
            {"code": concept(systems.LOINC, "8462-4", "Diastolic blood pressure"),
             "valueQuantity": quantity(diastolic, "mm[Hg]")},
        ],
    )  # fmt: skip
    visit.file("vital-signs", visit.add(panel))


def _grade(value: float, low: float, high: float) -> Resource:
    return _LOW if value < low else _HIGH if value >= high else _NORMAL
