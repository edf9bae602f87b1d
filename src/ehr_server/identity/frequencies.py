"""How often the words of Vietnamese names are borne: to agree on Nguyễn says little.

Family names: the book "100 họ phổ biến ở Việt Nam" (Institute of Linguistics, 2022), rounded.
Middle and given names: estimates, since no census of them is published; by `ehr-server train-match`
a site scales them to its own people. Words as `identity.folding` leaves them.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

Role = Literal["family", "middle", "given"]

_FAMILY = {
    "nguyen": 0.315, "tran": 0.109, "le": 0.089, "pham": 0.059, "hoang": 0.032, "huynh": 0.019,
    "vu": 0.031, "vo": 0.018, "phan": 0.028, "truong": 0.022, "bui": 0.021, "dang": 0.019,
    "do": 0.019, "ngo": 0.017, "ho": 0.015, "duong": 0.014, "dinh": 0.010, "doan": 0.009,
    "luu": 0.007, "trinh": 0.007, "mai": 0.006, "dao": 0.006, "luong": 0.006, "cao": 0.005,
    "ha": 0.005, "ly": 0.005, "lam": 0.005, "phung": 0.004, "ta": 0.004, "chu": 0.004,
    "thai": 0.003, "chau": 0.003, "to": 0.003, "kieu": 0.003, "quach": 0.002, "tong": 0.002,
    "vuong": 0.002, "nghiem": 0.002, "la": 0.002, "lo": 0.002, "vi": 0.002, "nong": 0.002,
    "giang": 0.001, "sung": 0.001, "thao": 0.001, "vang": 0.001, "trieu": 0.001, "ma": 0.001,
}  # fmt: skip

_MIDDLE = {
    "thi": 0.28, "van": 0.14, "ngoc": 0.035, "minh": 0.035, "thanh": 0.03, "thu": 0.025,
    "huu": 0.02, "duc": 0.02, "quang": 0.02, "xuan": 0.02, "dinh": 0.018, "kim": 0.018,
    "hoang": 0.018, "cong": 0.015, "anh": 0.015, "gia": 0.015, "phuong": 0.015, "quoc": 0.014,
    "bao": 0.014, "tuan": 0.012, "khanh": 0.012, "hong": 0.012, "bich": 0.012, "thuy": 0.012,
    "my": 0.01, "tien": 0.01, "trong": 0.01, "hai": 0.01, "duy": 0.01, "quynh": 0.01, "ba": 0.008,
    "viet": 0.008, "nhat": 0.008, "the": 0.008, "tan": 0.008, "phuc": 0.006, "ha": 0.006,
    "dieu": 0.006, "thien": 0.006, "thao": 0.006, "a": 0.004, "y": 0.003,
}  # fmt: skip

_GIVEN = {
    "anh": 0.036, "hoa": 0.018, "huong": 0.022, "linh": 0.02, "hung": 0.018, "trang": 0.016,
    "minh": 0.016, "nam": 0.015, "thao": 0.014, "dung": 0.018, "lan": 0.014, "ha": 0.014,
    "hai": 0.015, "phuong": 0.018, "huy": 0.014, "thanh": 0.018, "tuan": 0.015, "long": 0.012,
    "son": 0.013, "hang": 0.013, "mai": 0.013, "hien": 0.014, "hanh": 0.012, "nga": 0.012,
    "thuy": 0.018, "van": 0.014, "binh": 0.013, "duc": 0.012, "cuong": 0.011, "hieu": 0.011,
    "trung": 0.011, "tu": 0.01, "thang": 0.011, "ngan": 0.01, "nhi": 0.01, "nhung": 0.01,
    "yen": 0.009, "loan": 0.009, "hong": 0.012, "tam": 0.011, "quan": 0.01, "khanh": 0.01,
    "dat": 0.009, "duy": 0.009, "phuc": 0.009, "kien": 0.008, "quang": 0.009, "thu": 0.012,
    "tien": 0.01, "tung": 0.009, "ngoc": 0.014, "my": 0.009, "vy": 0.008, "an": 0.01,
    "bao": 0.008, "khoa": 0.008, "nhan": 0.006, "phat": 0.006, "tai": 0.008, "loc": 0.007,
    "loi": 0.007, "hoang": 0.008, "hue": 0.008, "lien": 0.008, "cuc": 0.006, "xuan": 0.008,
    "tuyet": 0.007, "oanh": 0.007, "quynh": 0.008, "trinh": 0.006, "truc": 0.006, "dao": 0.005,
    "giang": 0.008, "uyen": 0.006, "chi": 0.008, "ly": 0.007, "nguyen": 0.006, "phong": 0.007,
    "thinh": 0.006, "toan": 0.008, "viet": 0.007, "vinh": 0.008, "vu": 0.007, "diem": 0.005,
    "nhu": 0.007, "chau": 0.006, "hoai": 0.004, "sen": 0.003, "tho": 0.004, "thom": 0.004,
    "dong": 0.004, "chien": 0.005, "hau": 0.005, "bich": 0.004, "tham": 0.004, "nu": 0.002,
}  # fmt: skip

SHARES: Mapping[Role, Mapping[str, float]] = MappingProxyType(
    {
        "family": MappingProxyType(_FAMILY),
        "middle": MappingProxyType(_MIDDLE),
        "given": MappingProxyType(_GIVEN),
    }
)
# What a word that is not listed is taken for: as rare as the rarest that are, no rarer.
FLOOR: Mapping[Role, float] = MappingProxyType({"family": 0.0008, "middle": 0.003, "given": 0.0015})
# How often two people taken at random agree on the word of a role.
AGREEING: Mapping[Role, float] = MappingProxyType(
    {role: sum(share**2 for share in shares.values()) for role, shares in SHARES.items()}
)

_LEAST = 1e-4  # several rare middle words together


def share(role: Role, words: Sequence[str]) -> float:
    """The share of people who bear all of the words in that role."""
    found = 1.0
    for word in words:
        found *= SHARES[role].get(word, FLOOR[role])
    return max(found, _LEAST)


def is_family_name(word: str) -> bool:
    """Whether a folded word is known as a family name."""
    return word in _FAMILY
