"""Imaging and electrocardiogram of adults: reports with a conclusion in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, concept, reference
from campaign.registration import organization_of

if TYPE_CHECKING:
    from campaign.visit import Visit


@dataclass(frozen=True, slots=True)
class Study:
    """A kind of study: LOINC code, department, conclusion when well, and one illness it shows."""

    code: str
    display: str
    text: str
    service: str
    well: str
    ill: tuple[str, str, float]  # ICD-10 code, conclusion, share of adults


_STUDIES = (
    Study("24558-9", "US Abdomen", "Siêu âm ổ bụng", "RUS",
          "Hiện tại không thấy bất thường trên siêu âm ổ bụng",
          ("K76.0", "Gan nhiễm mỡ, không phân loại nơi khác", 0.17)),
    Study("36643-5", "XR Chest 2 Views", "X-quang ngực thẳng", "RAD",
          "Hình ảnh tim phổi bình thường", ("J42", "Viêm phế quản mạn tính", 0.02)),
    Study("11524-6", "EKG study", "Điện tâm đồ", "EC",
          "Nhịp xoang đều, trục trung gian", ("I44.7", "Blốc nhánh trái, không đặc hiệu", 0.015)),
)  # fmt: skip


def imaging(visit: Visit) -> None:
    """Adds the three studies."""
    for study in _STUDIES:
        conclusion = study.well
        code, finding, share = study.ill
        if visit.random.random() < share:
            visit.findings[code] = conclusion = finding
        report: Resource = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [concept(systems.DIAGNOSTIC_SERVICE, study.service)],
            "code": concept(systems.LOINC, study.code, study.display, study.text),
            "subject": {"reference": visit.patient},
            "encounter": {"reference": visit.encounter},
            "effectiveDateTime": visit.when(70),
            "issued": visit.when(90),
            "performer": [
                reference(organization_of(visit.commune.hospital), visit.commune.hospital.name)
            ],
            "resultsInterpreter": [visit.doctor("imaging")],
            "conclusion": conclusion,
        }
        visit.file("imaging", visit.add(report))
