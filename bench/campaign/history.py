"""What the person tells: past illness, habits, allergies; and the vaccines given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, concept, reference

if TYPE_CHECKING:
    from campaign.visit import Visit

_QUESTIONS = (
    ("TSBT_TANG_HUYET_AP", "Tăng huyết áp"),
    ("TSBT_DAI_THAO_DUONG", "Đái tháo đường"),
    ("TSBT_BENH_TIM", "Bệnh tim mạch"),
    ("TSBT_BENH_PHOI", "Bệnh phổi, hen phế quản"),
    ("TSBT_BENH_THAN", "Bệnh thận"),
    ("TSBT_TAM_THAN", "Rối loạn tâm thần"),
    ("TSGD_MAC_BENH", "Tiền sử gia đình có người mắc bệnh mạn tính"),
    ("TS_TIEP_XUC_LAO", "Tiếp xúc với người mắc lao"),
)
_VACCINES = (
    (0, "19", "BCG", "Vắc xin phòng lao (BCG)"),
    (0, "08", "Hep B, adolescent or pediatric", "Vắc xin viêm gan B"),
    (0, "102", "DTP-Hib-Hep B", "Vắc xin 5 trong 1"),
    (0, "02", "OPV, trivalent", "Vắc xin bại liệt uống"),
    (1, "05", "measles", "Vắc xin sởi"),
    (1, "134", "Japanese encephalitis IM", "Vắc xin viêm não Nhật Bản B"),
)
_INFLUENZA = ("141", "Influenza, seasonal, injectable", "Vắc xin cúm mùa")
_ALLERGENS = (("91936005", "Allergy to penicillin", "Dị ứng penicillin"),
              ("91935009", "Allergy to peanut", "Dị ứng lạc"),
              ("300913006", "Allergy to shrimp", "Dị ứng tôm"))  # fmt: skip


def history(visit: Visit) -> None:
    """Adds the QuestionnaireResponse, habits of adults, allergies, and vaccinations."""
    _answers(visit)
    if visit.age >= 18:
        smokes, drinks = visit.health.is_smoker, visit.health.is_drinker
        smoking = ("77176002", "Smoker", "Đang hút thuốc") if smokes else (
            "266919005", "Never smoked tobacco", "Chưa từng hút thuốc")  # fmt: skip
        _habit(visit, "72166-2", "Tobacco smoking status", smoking)
        drinking = ("219006", "Current drinker of alcohol", "Có uống rượu bia") if drinks else (
            "105542008", "Current non-drinker of alcohol", "Không uống rượu bia")  # fmt: skip
        _habit(visit, "11331-6", "History of Alcohol use", drinking)
    if visit.random.random() < 0.03:
        _allergy(visit)
    if visit.age < 2:
        for least_age, code, display, text in _VACCINES:
            if visit.age >= least_age:
                _vaccination(visit, code, display, text)
    elif visit.random.random() < 0.15:
        _vaccination(visit, *_INFLUENZA)


def _answers(visit: Visit) -> None:
    old = visit.age / 100
    items = [
        {
            "linkId": code,
            "text": text,
            "answer": [{"valueBoolean": visit.random.random() < old / 4}],
        }
        for code, text in _QUESTIONS
    ]
    response: Resource = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": systems.QUESTIONNAIRE,
        "status": "completed",
        "subject": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "authored": visit.when(2),
        "source": {"reference": visit.patient},
        "item": items,
    }
    visit.file("history", visit.add(response))


def _habit(visit: Visit, code: str, display: str, answer: tuple[str, str, str]) -> None:
    found = visit.observation(
        "social-history",
        concept(systems.LOINC, code, display),
        3,
        "internal",
        valueCodeableConcept=concept(systems.SNOMED, *answer),
    )
    visit.file("history", visit.add(found))


def _allergy(visit: Visit) -> None:
    intolerance: Resource = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": concept(systems.ALLERGY_CLINICAL, "active"),
        "verificationStatus": concept(systems.ALLERGY_VERIFICATION, "confirmed"),
        "type": "allergy",
        "code": concept(systems.SNOMED, *visit.random.choice(_ALLERGENS)),
        "patient": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "recordedDate": visit.when(3),
    }
    visit.file("history", visit.add(intolerance))


def _vaccination(visit: Visit, code: str, display: str, text: str) -> None:
    immunization: Resource = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": concept(systems.CVX, code, display, text),
        "patient": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "occurrenceDateTime": visit.when(60),
        "primarySource": True,
        "lotNumber": f"VN{visit.random.randrange(10_000):04d}",
        "performer": [{"actor": reference(visit.doctor("internal")["reference"])}],
    }
    visit.file("history", visit.add(immunization))
