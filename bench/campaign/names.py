"""Vietnamese names: family names by how often they are borne, given names by sex and generation.

A Vietnamese name stands in the order family, middle, given ("Nguyễn Hữu Nam"); people are
addressed by the last word. Some peoples have no family name, or names with an apostrophe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from random import Random

Sex = Literal["male", "female"]

_FAMILIES = {
    "Nguyễn": 315, "Trần": 109, "Lê": 89, "Phạm": 59, "Hoàng": 40, "Vũ": 32, "Phan": 28,
    "Trương": 22, "Bùi": 21, "Đặng": 19, "Đỗ": 19, "Ngô": 17, "Võ": 16, "Hồ": 15, "Dương": 14,
    "Huỳnh": 11, "Đinh": 10, "Đoàn": 9, "Lưu": 7, "Trịnh": 7, "Mai": 6, "Đào": 6, "Lương": 6,
    "Cao": 5, "Hà": 5, "Tạ": 4, "Chu": 4, "Lý": 4, "Tô": 3, "Kiều": 3, "Nghiêm": 2, "Quách": 2,
}  # fmt: skip

# Given names with their middle names; "old" for people born before 1980.
_GIVEN: dict[tuple[Sex, str], tuple[str, str]] = {
    ("male", "old"): (
        "Văn Văn Văn Văn Hữu Đức Xuân Bá Đình Công Quang Ngọc",
        "Bình Chiến Cường Dũng Hải Hòa Hùng Khang Khoa Lâm Lợi Long Minh Nam Nghĩa Phúc Quý "
        "Sơn Tâm Thành Thắng Thịnh Tiến Toàn Trung Tùng Vinh Vượng Ổn Đạt",
    ),
    ("female", "old"): (
        "Thị Thị Thị Thị Thị Thị Ngọc Kim Bích Thu",
        "Bình Chung Cúc Dung Hà Hạnh Hiền Hoa Hòa Hồng Huệ Hương Lan Liên Loan Lý Mai Nga Ngọp "
        "Nhung Nụ Oanh Phượng Sen Tâm Thảo Thơm Thủy Tuyết Vân Xuân Yến",
    ),
    ("male", "young"): (
        "Minh Gia Quang Đức Tuấn Hoàng Hải Anh Bảo Thanh Văn Duy Khánh",
        "Anh Bảo Cường Duy Đạt Hiếu Hưng Huy Kiên Khang Khôi Khoa Long Minh Nam Nguyên Nhật Phát "
        "Phong Phúc Quân Sơn Tài Thiện Trí Tuấn Việt Vũ Đăng Ân",
    ),
    ("female", "young"): (
        "Thị Ngọc Thu Phương Khánh Bảo Thùy Minh Thanh Quỳnh Hà Kim Diệu",
        "Anh An Châu Chi Diễm Giang Hân Hà Hương Huyền Khuê Lan Linh Ly Mai My Nga Ngân Nhi Như "
        "Oanh Phương Quỳnh Thảo Thư Trang Trâm Tú Uyên Vy Ý Yến",
    ),
}


@dataclass(frozen=True, slots=True)
class People:
    """One of the 54 peoples: the national code, its name and how its members are named."""

    code: str
    name: str
    families: tuple[str, ...] = ()
    male: tuple[str, ...] = ()
    female: tuple[str, ...] = ()


KINH = People("01", "Kinh")
_MINORITIES = (
    People("02", "Tày", ("Nông", "Hoàng", "Ma", "Triệu", "Lương"), (), ()),
    People("03", "Thái", ("Lò", "Quàng", "Cầm", "Lường", "Cà"), ("Văn Ón", "Văn Pọm"),
           ("Thị Pâng",)),
    People("06", "Mường", ("Bùi", "Đinh", "Quách", "Hà", "Bạch"), (), ()),
    People("08", "HMông", ("Giàng", "Vàng", "Thào", "Sùng", "Lý"), ("A Páo", "A Tủa", "Seo Chứ"),
           ("Thị Mỷ", "Thị Dở", "Thị Súa")),
    People("09", "Dao", ("Phàn", "Bàn", "Tẩn", "Chảo"), ("Phù Sơn", "Láo Tả"),
           ("Mùi Nái", "Mẩy")),
    People("10", "Gia-rai", ("Ksor", "Siu", "Rơ Châm", "Kpă"), ("Phước", "Blơng"),
           ("H'Lan", "H'Yư")),
    People("12", "Ê-đê", (), ("Y Thông Êban", "Y Moan Ênuôl"), ("H'Hen Niê", "H'Bia Kbuôr")),
    People("16", "Cơ-ho", (), ("K'Brơi", "K'Brẽo"), ("Ka Mhẩm", "K'Rểu")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Name:
    """A name as its parts; `family` is None for those who have none."""

    family: str | None
    given: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join((self.family, *self.given) if self.family else self.given)


def people(random: Random, minority_share: float = 0.06) -> People:
    """Kinh, or one of the minorities."""
    return random.choice(_MINORITIES) if random.random() < minority_share else KINH


def family_name(random: Random, of: People) -> str | None:
    """A family name of that people; None where it has none."""
    if of is KINH:
        return random.choices(_FAMILY_NAMES, _FAMILY_WEIGHTS)[0]
    return random.choice(of.families) if of.families else None


def name(random: Random, of: People, family: str | None, sex: Sex, born: int) -> Name:
    """A name for someone of that people, sex and year of birth; `family` as given."""
    own = of.male if sex == "male" else of.female
    if own:
        return Name(family, tuple(random.choice(own).split()))
    middles, givens = _KINH_GIVEN[sex, "old" if born < 1980 else "young"]
    given = (random.choice(middles), random.choice(givens))
    while given[0] == given[1]:
        given = (random.choice(middles), random.choice(givens))
    return Name(family, given)


_FAMILY_NAMES = tuple(_FAMILIES)
_FAMILY_WEIGHTS = tuple(_FAMILIES.values())
_KINH_GIVEN = {
    key: (tuple(middles.split()), tuple(givens.split()))
    for key, (middles, givens) in _GIVEN.items()
}
