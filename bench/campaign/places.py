"""A commune with its villages, facilities and staff, and the provinces of identity cards."""

from __future__ import annotations

from dataclasses import dataclass

# Codes of the 63 provinces before July 2025, which identity cards and insurance cards carry.
PROVINCES = (
    "01", "02", "04", "06", "08", "10", "11", "12", "14", "15", "17", "19", "20", "22", "24",
    "25", "26", "27", "30", "31", "33", "34", "35", "36", "37", "38", "40", "42", "44", "45",
    "46", "48", "49", "51", "52", "54", "56", "58", "60", "62", "64", "66", "67", "68", "70",
    "72", "74", "75", "77", "79", "80", "82", "83", "84", "86", "87", "89", "91", "92", "93",
    "94", "95", "96",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facility:
    """A place of care: its national code of five digits, name and telephone."""

    code: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the staff: number of the practising certificate, name, sex, specialty."""

    licence: str
    family: str
    given: tuple[str, ...]
    sex: str
    specialty: str

    @property
    def text(self) -> str:
        return " ".join(("BS.", self.family, *self.given))


@dataclass(frozen=True, slots=True)
class Commune:
    """A commune (xã), its ward code of five digits, its province and what lies in it."""

    ward: str
    name: str
    province: str
    province_name: str
    villages: tuple[str, ...]
    station: Facility
    hospital: Facility
    staff: tuple[Staff, ...]


TIEN_THANG = Commune(
    ward="08995",
    name="Xã Tiến Thắng",
    province="01",
    province_name="Thành phố Hà Nội",
    villages=tuple(
        f"Thôn {village}"
        for village in (
            "Bạch Trữ", "Thái Lai", "Diến Táo", "Kim Giao", "Đồng Vỡ", "Yên Bài", "Bái Ân",
            "Thọ Lão", "Phú Nhi", "Cẩm Vân", "Đạm Nội", "Đạm Xuyên", "Tự Lập", "Yên Lộc",
        )
    ),
    station=Facility("01557", "Trạm Y tế xã Tiến Thắng", "02438160001"),
    hospital=Facility("01217", "Bệnh viện Đa khoa huyện Mê Linh", "02438160002"),
    staff=(
        Staff("000101/HNO-CCHN", "Phạm", ("Thị", "Hiền"), "female", "internal"),
        Staff("000102/HNO-CCHN", "Nguyễn", ("Văn", "Thành"), "male", "surgery"),
        Staff("000103/HNO-CCHN", "Trần", ("Thu", "Thủy"), "female", "gynaecology"),
        Staff("000104/HNO-CCHN", "Lê", ("Quang", "Minh"), "male", "eyes"),
        Staff("000105/HNO-CCHN", "Đỗ", ("Đức", "Long"), "male", "ear-nose-throat"),
        Staff("000106/HNO-CCHN", "Vũ", ("Ngọc", "Mai"), "female", "teeth"),
        Staff("000107/HNO-CCHN", "Hoàng", ("Công", "Sơn"), "male", "skin"),
        Staff("000108/HNO-CCHN", "Bùi", ("Thị", "Nga"), "female", "laboratory"),
        Staff("000109/HNO-CCHN", "Đặng", ("Hữu", "Nghĩa"), "male", "imaging"),
        Staff("000110/HNO-CCHN", "Ngô", ("Kim", "Oanh"), "female", "conclusion"),
    ),
)  # fmt: skip
