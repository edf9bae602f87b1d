"""The end of a checkup: diagnoses, class of health, follow-up, the Composition, the Provenance."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from campaign import systems
from campaign.examination import CLASSES, class_concept
from campaign.parts import Resource, concept, identifier, narrative, reference
from campaign.registration import organization_of

if TYPE_CHECKING:
    from campaign.visit import Visit

_CHRONIC = {"I10", "E11.9", "E78.5", "B18.1", "M17.9", "J44.9"}
_GRAVE = {"I10": 3, "E11.9": 4, "J44.9": 4, "B18.1": 3, "I49.9": 3, "N20.0": 3}
_END = 120  # minutes from the start of the checkup to the doctor's conclusion
_SECTIONS = {
    "history": ("11348-0", "History of Past illness Narrative", "Tiền sử"),
    "vital-signs": ("8716-3", "Vital signs note", "Dấu hiệu sinh tồn"),
    "examination": ("29545-1", "Physical findings Narrative", "Khám lâm sàng"),
    "laboratory": ("30954-2", "Relevant diagnostic tests/laboratory data Narrative", "Xét nghiệm"),
    "imaging": ("18748-4", "Diagnostic imaging study", "Chẩn đoán hình ảnh, thăm dò chức năng"),
    "conclusion": ("55110-1", "Conclusions [Interpretation] Document", "Kết luận"),
    "plan": ("18776-5", "Plan of care note", "Hướng giải quyết"),
}


def conclude(visit: Visit, examined: int) -> None:
    """Adds what concludes the checkup; `examined` is the worst class the specialists gave."""
    class_ = max(examined, *(_GRAVE.get(code, 2) for code in visit.findings), 1)
    for code, text in visit.findings.items():
        visit.file("conclusion", visit.add(_condition(visit, code, text)))
    classified = visit.observation(
        "exam",
        concept(systems.FINDING, "PHAN_LOAI_SK", "Phân loại sức khỏe"),
        _END,
        "conclusion",
        valueCodeableConcept=class_concept(class_),
    )
    visit.file("conclusion", visit.add(classified))
    if class_ >= 3:
        visit.file("plan", visit.add(_care_plan(visit, class_)))
    composition = visit.add(_composition(visit, class_))
    visit.add(_provenance(visit, composition))


def _condition(visit: Visit, code: str, text: str) -> Resource:
    category = "problem-list-item" if code in _CHRONIC else "encounter-diagnosis"
    return {
        "resourceType": "Condition",
        "clinicalStatus": concept(systems.CONDITION_CLINICAL, "active"),
        "verificationStatus": concept(systems.CONDITION_VERIFICATION, "confirmed"),
        "category": [concept(systems.CONDITION_CATEGORY, category)],
        "code": concept(systems.ICD10, code, text, text),
        "subject": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "recordedDate": visit.when(_END),
        "recorder": visit.doctor("conclusion"),
    }


def _care_plan(visit: Visit, class_: int) -> Resource:
    months = 6 if class_ == 3 else 1
    due = (visit.start + timedelta(days=30 * months)).date()
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "title": "Theo dõi sau khám sức khỏe",
        "subject": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "period": {"start": str(visit.start.date()), "end": str(due)},
        "created": visit.when(_END),
        "author": visit.doctor("conclusion"),
        "activity": [
            {
                "detail": {
                    "kind": "Appointment",
                    "status": "not-started",
                    "scheduledString": str(due),
                    "description": "Khám lại tại trạm y tế hoặc bệnh viện, mang theo kết quả khám",
                }
            }
        ],
    }


def _composition(visit: Visit, class_: int) -> Resource:
    said = "; ".join(visit.findings.values()) or "Hiện tại không phát hiện bệnh lý"
    return {
        "resourceType": "Composition",
        "text": narrative(f"{CLASSES[class_][1]}. {said}."),
        "identifier": identifier(systems.VISIT, visit.key),
        "status": "final",
        "type": concept(systems.LOINC, "11503-0", "Medical records", "Sổ khám sức khỏe"),
        "subject": {"reference": visit.patient},
        "encounter": {"reference": visit.encounter},
        "date": visit.when(_END),
        "author": [visit.doctor("conclusion")],
        "title": f"Khám sức khỏe định kỳ năm {visit.start.year}",
        "custodian": reference(organization_of(visit.commune.station)),
        "section": [
            {
                "title": title,
                "code": concept(systems.LOINC, code, display),
                "entry": [{"reference": url} for url in visit.sections[name]],
            }
            for name, (code, display, title) in _SECTIONS.items()
            if name in visit.sections
        ],
    }


def _provenance(visit: Visit, composition: str) -> Resource:
    author = concept(systems.PROVENANCE_AGENT, "author", "Author")
    return {
        "resourceType": "Provenance",
        "target": [{"reference": composition}, {"reference": visit.encounter}],
        "occurredDateTime": visit.when(_END),
        "recorded": visit.when(_END + 5),
        "agent": [
            {
                "type": author,
                "who": visit.doctor("conclusion"),
                "onBehalfOf": reference(organization_of(visit.commune.station)),
            }
        ],
    }
