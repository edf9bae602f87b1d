"""How healthy a resident is: a few traits that drift with age, from which every finding follows."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from campaign.people import Resident


@dataclass(frozen=True, slots=True)
class Health:
    """The state on one day. Heights in cm, weight in kg, pressures in mm[Hg], glucose in mmol/L."""

    height: float
    weight: float
    waist: float
    systolic: float
    diastolic: float
    glucose: float
    cholesterol: float
    urate: float
    liver: float  # ALT, U/L
    creatinine: float  # umol/L
    haemoglobin: float  # g/L
    acuity: int  # tenths, both eyes
    caries: int
    is_smoker: bool
    is_drinker: bool
    has_hepatitis_b: bool

    @property
    def bmi(self) -> float:
        return self.weight / (self.height / 100) ** 2


def health(resident: Resident, seed: int, age: float) -> Health:
    """The state of a resident at an age in years; equal arguments give an equal state."""
    random = Random(f"{seed}/health/{resident.number}")
    gauss = random.gauss
    is_male = resident.sex == "male"
    grown = min(1.0, 0.30 + 0.70 * (min(age, 18) / 18) ** 0.75)
    height = (gauss(168, 6) if is_male else gauss(156.5, 5.5)) * grown
    adult_bmi = gauss(22.4, 2.7)
    bmi = adult_bmi + 0.03 * max(0.0, age - 30) if age >= 18 else gauss(16.3, 1.2)
    years = max(0.0, age - 18)
    pressure = gauss(0, 8) + (adult_bmi - 22) * 1.1
    sugar = max(0.0, gauss(0, 1)) ** 3 * 0.5
    return Health(
        height=height,
        weight=bmi * (height / 100) ** 2,
        waist=bmi * 2.6 + (22 if is_male else 17),
        systolic=(94 + 1.1 * min(age, 18)) + 0.42 * years + pressure,
        diastolic=(58 + 0.8 * min(age, 18)) + 0.16 * years + pressure * 0.6,
        glucose=4.9 + 0.008 * years + sugar * (age > 35),
        cholesterol=max(2.8, gauss(4.4, 0.7) + 0.014 * years),
        urate=max(150, gauss(340 if is_male else 265, 55) + (bmi - 22) * 6),
        liver=max(7, gauss(22, 8) + max(0, gauss(0, 1)) ** 2 * 9),
        creatinine=max(30, (gauss(84, 9) if is_male else gauss(64, 8)) * (0.4 + 0.6 * grown)),
        haemoglobin=gauss(148, 9) if is_male else gauss(131, 10),
        acuity=max(1, min(10, round(gauss(10.2 - 0.055 * years, 1.6)))),
        caries=max(0, round(gauss(age / 16, 1.4))),
        is_smoker=age >= 18 and random.random() < (0.41 if is_male else 0.015),
        is_drinker=age >= 18 and random.random() < (0.62 if is_male else 0.10),
        has_hepatitis_b=random.random() < 0.07,
    )
