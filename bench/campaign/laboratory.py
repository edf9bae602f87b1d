"""Laboratory: single results and the reports that gather them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, concept, decimal, quantity, reference
from campaign.registration import organization_of

if TYPE_CHECKING:
    from campaign.visit import Visit

_DONE = 150  # minutes from the start of the checkup to the results


@dataclass(frozen=True, slots=True)
class Analyte:
    """One quantity of the laboratory, the limits of its normal range in its UCUM unit."""

    code: str
    display: str
    text: str
    unit: str
    places: int
    low: float | None
    high: float | None


_WBC = Analyte(
    "6690-2",
    "Leukocytes [#/volume] in Blood by Automated count",
    "Bạch cầu",
    "10*9/L",
    2,
    4.0,
    10.0,
)
_HB = Analyte("718-7", "Hemoglobin [Mass/volume] in Blood", "Huyết sắc tố", "g/L", 0, 120, 175)
_PLT = Analyte(
    "777-3", "Platelets [#/volume] in Blood by Automated count", "Tiểu cầu", "10*9/L", 0, 150, 400
)
_GLUCOSE = Analyte(
    "14771-0",
    "Fasting glucose [Moles/volume] in Serum or Plasma",
    "Glucose máu lúc đói",
    "mmol/L",
    2,
    3.9,
    6.4,
)
_HBA1C = Analyte("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "HbA1c", "%", 1, 4.0, 6.0)
_CREATININE = Analyte(
    "14682-9", "Creatinine [Moles/volume] in Serum or Plasma", "Creatinin", "umol/L", 0, 44, 106
)
_UREA = Analyte("22664-7", "Urea [Moles/volume] in Serum or Plasma", "Ure", "mmol/L", 1, 2.5, 7.5)
_AST = Analyte(
    "1920-8",
    "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
    "AST (GOT)",
    "U/L",
    0,
    None,
    37,
)
_ALT = Analyte(
    "1742-6",
    "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
    "ALT (GPT)",
    "U/L",
    0,
    None,
    40,
)
_GGT = Analyte(
    "2324-2",
    "Gamma glutamyl transferase [Enzymatic activity/volume] in Serum or Plasma",
    "GGT",
    "U/L",
    0,
    None,
    55,
)
_CHOLESTEROL = Analyte(
    "14647-2",
    "Cholesterol [Moles/volume] in Serum or Plasma",
    "Cholesterol toàn phần",
    "mmol/L",
    2,
    None,
    5.2,
)
_TRIGLYCERIDES = Analyte(
    "14927-8",
    "Triglyceride [Moles/volume] in Serum or Plasma",
    "Triglycerid",
    "mmol/L",
    2,
    None,
    1.7,
)
_HDL = Analyte(
    "14646-4",
    "Cholesterol in HDL [Moles/volume] in Serum or Plasma",
    "HDL-Cholesterol",
    "mmol/L",
    2,
    0.9,
    None,
)
_LDL = Analyte(
    "22748-8",
    "Cholesterol in LDL [Moles/volume] in Serum or Plasma",
    "LDL-Cholesterol",
    "mmol/L",
    2,
    None,
    3.4,
)
_URATE = Analyte("14933-6", "Urate [Moles/volume] in Serum or Plasma", "Acid uric",
                 "umol/L", 0, 150, 420)  # fmt: skip

_POSITIVE = concept(systems.SNOMED, "10828004", "Positive", "Dương tính")
_NEGATIVE = concept(systems.SNOMED, "260385009", "Negative", "Âm tính")


def laboratory(visit: Visit) -> None:
    """Blood count, chemistry (adults), hepatitis (adults), urine; a DiagnosticReport for each."""
    health, random = visit.health, visit.random
    is_adult = visit.age >= 18
    haemoglobin = health.haemoglobin + random.gauss(0, 3)
    if haemoglobin < 115:
        visit.findings["D50.9"] = "Thiếu máu thiếu sắt"
    _report(
        visit,
        concept(systems.LOINC, "58410-2", "CBC panel - Blood by Automated count", "Công thức máu"),
        "HM",
        [
            _result(visit, _WBC, random.gauss(6.9, 1.3)),
            _result(visit, _HB, haemoglobin),
            _result(visit, _PLT, random.gauss(252, 42)),
        ],
    )
    if is_adult:
        _report(
            visit,
            concept(systems.LOINC, "24323-8",
                    "Comprehensive metabolic 2000 panel - Serum or Plasma", "Sinh hóa máu"),
            "CH",
            _chemistry(visit),
        )  # fmt: skip
        _report(
            visit,
            concept(systems.LOINC, "24363-4", "Acute hepatitis 2000 panel - Serum",
                    "Xét nghiệm viêm gan"),
            "IMM",
            [
                _finding(visit, "5196-1", "Hepatitis B virus surface Ag [Presence] in Serum or "
                         "Plasma by Immunoassay", health.has_hepatitis_b),
                _finding(visit, "16128-1", "Hepatitis C virus Ab [Presence] in Serum",
                         random.random() < 0.01),
            ],
        )  # fmt: skip
    protein = random.random() < 0.02 + 0.05 * (health.systolic > 150)
    sugar = health.glucose > 9
    _report(
        visit,
        concept(systems.LOINC, "24356-8", "Urinalysis complete panel - Urine",
                "Tổng phân tích nước tiểu"),
        "UR",
        [
            _finding(visit, "20454-5", "Protein [Presence] in Urine by Test strip", protein),
            _finding(visit, "25428-4", "Glucose [Presence] in Urine by Test strip", sugar),
        ],
    )  # fmt: skip


def _chemistry(visit: Visit) -> list[str]:
    health, random = visit.health, visit.random
    glucose = max(3.6, health.glucose + random.gauss(0, 0.3))
    triglycerides = max(0.5, random.gauss(1.5, 0.5) + (health.bmi - 22) * 0.06)
    hdl = max(0.7, random.gauss(1.3, 0.22))
    cholesterol = health.cholesterol + random.gauss(0, 0.2)
    ldl = max(0.8, cholesterol - hdl - triglycerides / 2.2)
    _chemistry_findings(visit, glucose, max(ldl / 3.4, triglycerides / 1.7))
    results = [(_GLUCOSE, glucose)]
    if visit.age >= 40 or glucose > 6.4:
        results.append((_HBA1C, 2.3 + 0.63 * glucose + random.gauss(0, 0.15)))
    results += [
        (_CREATININE, health.creatinine + random.gauss(0, 3)),
        (_UREA, max(1.8, random.gauss(5.0, 1.0))),
        (_AST, max(8, health.liver * 0.95 + random.gauss(0, 3))),
        (_ALT, max(6, health.liver + random.gauss(0, 3))),
        (_GGT, max(7, health.liver * 1.2 + 18 * health.is_drinker + random.gauss(0, 4))),
        (_CHOLESTEROL, cholesterol),
        (_TRIGLYCERIDES, triglycerides),
        (_HDL, hdl),
        (_LDL, ldl),
        (_URATE, health.urate + random.gauss(0, 12)),
    ]
    return [_result(visit, analyte, value) for analyte, value in results]


def _chemistry_findings(visit: Visit, glucose: float, lipid_ratio: float) -> None:
    if glucose >= 7:
        visit.findings["E11.9"] = "Đái tháo đường không phụ thuộc insulin, không có biến chứng"
    if lipid_ratio > 1.3:
        visit.findings["E78.5"] = "Tăng lipid máu, không đặc hiệu"
    if visit.health.urate > 440:
        visit.findings["E79.0"] = "Tăng acid uric máu không có dấu hiệu viêm khớp"
    if visit.health.has_hepatitis_b:
        visit.findings["B18.1"] = "Viêm gan virus B mạn, không có tác nhân delta"


def _result(visit: Visit, analyte: Analyte, value: float) -> str:
    exact = decimal(value, analyte.places)
    limits: Resource = {}
    if analyte.low is not None:
        limits["low"] = quantity(decimal(analyte.low, analyte.places), analyte.unit)
    if analyte.high is not None:
        limits["high"] = quantity(decimal(analyte.high, analyte.places), analyte.unit)
    grade = ("N", "Normal")
    if analyte.low is not None and exact < limits["low"]["value"]:
        grade = ("L", "Low")
    if analyte.high is not None and exact > limits["high"]["value"]:
        grade = ("H", "High")
    named = concept(systems.LOINC, analyte.code, analyte.display, analyte.text)
    found = visit.observation(
        "laboratory",
        named,
        20,
        "laboratory",
        valueQuantity=quantity(exact, analyte.unit),
        interpretation=[concept(systems.INTERPRETATION, *grade)],
        referenceRange=[limits],
    )
    return visit.add(found)


def _finding(visit: Visit, code: str, display: str, is_positive: bool) -> str:
    found = visit.observation(
        "laboratory",
        concept(systems.LOINC, code, display),
        20,
        "laboratory",
        valueCodeableConcept=_POSITIVE if is_positive else _NEGATIVE,
    )
    return visit.add(found)


def _report(visit: Visit, code: Resource, service: str, results: list[str]) -> None:
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "category": [concept(systems.DIAGNOSTIC_SERVICE, service)],
        "code": code,
        "subject": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "effectiveDateTime": visit.when(20),
        "issued": visit.when(_DONE),
        "performer": [
            reference(organization_of(visit.commune.hospital), visit.commune.hospital.name)
        ],
        "resultsInterpreter": [visit.doctor("laboratory")],
        "result": [{"reference": url} for url in results],
    }
    visit.file("laboratory", visit.add(report))
