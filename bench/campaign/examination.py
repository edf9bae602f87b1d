"""What the doctors of each specialty find, each with its class of health from I to V."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign import systems
from campaign.parts import Resource, concept, decimal, quantity

if TYPE_CHECKING:
    from campaign.visit import Visit

CLASSES = {
    1: ("I", "Loại I: Rất khỏe"),
    2: ("II", "Loại II: Khỏe"),
    3: ("III", "Loại III: Trung bình"),
    4: ("IV", "Loại IV: Yếu"),
    5: ("V", "Loại V: Rất yếu"),
}


@dataclass(frozen=True, slots=True)
class Organ:
    """An organ system: LOINC code, its text, who examines, what is found when all is well."""

    code: str
    display: str
    text: str
    specialty: str
    well: str
    ill: tuple[tuple[str, str, float], ...]  # ICD-10 code, finding, share of adults per 10 years


_ORGANS = (
    Organ("11390-2", "Physical findings of Cardiovascular system", "Tuần hoàn", "internal",
          "Nhịp tim đều, T1 T2 rõ, không có tiếng thổi bệnh lý",
          (("I49.9", "Loạn nhịp tim, không đặc hiệu", 0.006),)),
    Organ("11412-4", "Physical findings of Respiratory system", "Hô hấp", "internal",
          "Rì rào phế nang rõ, không có ran", (("J44.9", "Bệnh phổi tắc nghẽn mạn tính", 0.005),)),
    Organ("11399-3", "Physical findings of Gastrointestinal system", "Tiêu hóa", "internal",
          "Bụng mềm, không chướng, gan lách không to",
          (("K29.7", "Viêm dạ dày, không đặc hiệu", 0.02), ("K21.9", "Trào ngược dạ dày", 0.012))),
    Organ("10198-0", "Physical findings of Genitourinary tract", "Thận - Tiết niệu", "internal",
          "Chạm thận âm tính, không có điểm đau niệu quản", (("N20.0", "Sỏi thận", 0.011),)),
    Organ("29307-6", "Physical findings of Endocrine system", "Nội tiết", "internal",
          "Tuyến giáp không to", (("E04.1", "Nhân giáp đơn độc không nhiễm độc", 0.012),)),
    Organ("11410-8", "Physical findings of Musculoskeletal system", "Cơ xương khớp", "internal",
          "Không teo cơ, vận động các khớp trong giới hạn bình thường",
          (("M17.9", "Thoái hóa khớp gối", 0.03), ("M54.5", "Đau cột sống thắt lưng", 0.03))),
    Organ("10202-0", "Physical findings of Nervous system", "Thần kinh", "internal",
          "Tỉnh táo, không có dấu hiệu thần kinh khu trú",
          (("G44.2", "Đau đầu do căng thẳng", 0.01),)),
    Organ("11451-2", "Psychiatric findings", "Tâm thần", "internal",
          "Tiếp xúc tốt, cảm xúc ổn định", (("F51.0", "Mất ngủ không thực tổn", 0.012),)),
    Organ("55286-9", "Physical findings of Body by General surgery", "Ngoại khoa", "surgery",
          "Không phát hiện bệnh lý ngoại khoa", (("K40.9", "Thoát vị bẹn một bên", 0.003),)),
    Organ("10206-1", "Physical findings of Skin", "Da liễu", "skin",
          "Da không có tổn thương bệnh lý", (("L20.9", "Viêm da cơ địa", 0.008),)),
    Organ("10197-2", "Physical findings of Eye", "Mắt", "eyes",
          "Kết mạc hồng, giác mạc trong", (("H25.9", "Đục thủy tinh thể ở người già", 0.025),)),
    Organ("11393-6", "Physical findings of Ears and Nose and Mouth and Throat", "Tai mũi họng",
          "ear-nose-throat", "Màng nhĩ sáng, niêm mạc mũi họng hồng",
          (("J31.0", "Viêm mũi mạn tính", 0.016), ("J35.0", "Viêm amydan mạn tính", 0.008))),
    Organ("10201-2", "Physical findings of Mouth and Throat and Teeth", "Răng hàm mặt", "teeth",
          "Răng và lợi bình thường", (("K05.3", "Viêm quanh răng mạn tính", 0.02),)),
)  # fmt: skip
_WOMAN = Organ("11401-7", "Physical findings of Genitalia female", "Sản phụ khoa", "gynaecology",
               "Âm hộ, âm đạo, cổ tử cung bình thường",
               (("N72", "Viêm cổ tử cung", 0.02),
                ("D25.9", "U cơ trơn tử cung", 0.008)))  # fmt: skip


def examination(visit: Visit) -> int:
    """Adds the findings of all specialties; the worst class of health, 1 to 5."""
    classes = [_organ(visit, organ) for organ in _ORGANS]
    if visit.resident.sex == "female" and visit.age >= 18:
        classes.append(_organ(visit, _WOMAN))
    if visit.age >= 5:
        _acuity(visit)
    if visit.age >= 6:
        _hearing(visit)
    if visit.health.caries:
        visit.findings["K02.9"] = "Sâu răng, không đặc hiệu"
    return max(classes)


def class_concept(class_: int) -> Resource:
    """The CodeableConcept of a class of health."""
    code, text = CLASSES[class_]
    return concept(systems.HEALTH_CLASS, code, text, text)


def _organ(visit: Visit, organ: Organ) -> int:
    text, class_ = organ.well, 1 if visit.age < 40 else 2
    for code, finding, share in organ.ill:
        if visit.random.random() < share * visit.age / 10:
            visit.findings[code] = text = finding
            class_ = 2 + (visit.random.random() < 0.4) + (visit.random.random() < 0.08)
    found = visit.observation(
        "exam",
        concept(systems.LOINC, organ.code, organ.display, organ.text),
        40,
        organ.specialty,
        valueString=text,
        component=[
            {
                "code": concept(systems.FINDING, "PHAN_LOAI", "Phân loại sức khỏe"),
                "valueCodeableConcept": class_concept(class_),
            }
        ],
    )
    visit.file("examination", visit.add(found))
    return class_


def _acuity(visit: Visit) -> None:
    """Visual acuity without glasses, right and left, in tenths."""
    tenths = visit.health.acuity
    if tenths < 7 and visit.age < 40:
        visit.findings["H52.1"] = "Cận thị"
    eyes = (("98499-7", "Visual acuity uncorrected Right eye by Snellen eye chart"),
            ("98498-9", "Visual acuity uncorrected Left eye by Snellen eye chart"))  # fmt: skip
    found = visit.observation(
        "exam",
        concept(systems.LOINC, "98497-1", "Visual acuity panel", "Thị lực không kính"),
        45,
        "eyes",
        component=[
            {"code": concept(systems.LOINC, code, display),
             "valueString": f"{max(1, min(10, tenths + visit.random.choice((-1, 0, 0, 1))))}/10"}
            for code, display in eyes
        ],
    )  # fmt: skip
    visit.file("examination", visit.add(found))


def _hearing(visit: Visit) -> None:
    """How far spoken and whispered words are heard, in metres."""
    loss = max(0.0, (visit.age - 55) / 20)
    ears = (("TAI_PHAI_NOI_THUONG", "Tai phải, nói thường", 5.0),
            ("TAI_PHAI_NOI_THAM", "Tai phải, nói thầm", 0.5),
            ("TAI_TRAI_NOI_THUONG", "Tai trái, nói thường", 5.0),
            ("TAI_TRAI_NOI_THAM", "Tai trái, nói thầm", 0.5))  # fmt: skip
    found = visit.observation(
        "exam",
        concept(systems.FINDING, "THINH_LUC", "Khám thính lực", "Khám thính lực"),
        48,
        "ear-nose-throat",
        component=[
            {
                "code": concept(systems.FINDING, code, display),
                "valueQuantity": quantity(decimal(full * (1 - min(0.8, loss)), 1), "m"),
            }
            for code, display, full in ears
        ],
    )
    visit.file("examination", visit.add(found))
