"""The provinces of Viet Nam by their codes of two digits, before and since 1 July 2025.

Codes of the General Statistics Office, as in insurance cards (two digits) and personal
identification numbers (the same after a zero). Resolution 202/2025/QH15 and Decision
19/2025/QĐ-TTg left 34 of 63 provinces. The code of a merged province is that of one of its parts,
and seven of them now mean another province than before: 15, 24, 44, 52, 80, 82 and 91.
"""

from collections.abc import Mapping
from types import MappingProxyType

REFORM_YEAR = 2025

BEFORE_REFORM: Mapping[str, str] = MappingProxyType(
    {
        "01": "Hà Nội", "02": "Hà Giang", "04": "Cao Bằng", "06": "Bắc Kạn", "08": "Tuyên Quang",
        "10": "Lào Cai", "11": "Điện Biên", "12": "Lai Châu", "14": "Sơn La", "15": "Yên Bái",
        "17": "Hòa Bình", "19": "Thái Nguyên", "20": "Lạng Sơn", "22": "Quảng Ninh",
        "24": "Bắc Giang", "25": "Phú Thọ", "26": "Vĩnh Phúc", "27": "Bắc Ninh", "30": "Hải Dương",
        "31": "Hải Phòng", "33": "Hưng Yên", "34": "Thái Bình", "35": "Hà Nam", "36": "Nam Định",
        "37": "Ninh Bình", "38": "Thanh Hóa", "40": "Nghệ An", "42": "Hà Tĩnh", "44": "Quảng Bình",
        "45": "Quảng Trị", "46": "Huế", "48": "Đà Nẵng", "49": "Quảng Nam", "51": "Quảng Ngãi",
        "52": "Bình Định", "54": "Phú Yên", "56": "Khánh Hòa", "58": "Ninh Thuận",
        "60": "Bình Thuận", "62": "Kon Tum", "64": "Gia Lai", "66": "Đắk Lắk", "67": "Đắk Nông",
        "68": "Lâm Đồng", "70": "Bình Phước", "72": "Tây Ninh", "74": "Bình Dương",
        "75": "Đồng Nai", "77": "Bà Rịa - Vũng Tàu", "79": "Thành phố Hồ Chí Minh",
        "80": "Long An", "82": "Tiền Giang", "83": "Bến Tre", "84": "Trà Vinh", "86": "Vĩnh Long",
        "87": "Đồng Tháp", "89": "An Giang", "91": "Kiên Giang", "92": "Cần Thơ",
        "93": "Hậu Giang", "94": "Sóc Trăng", "95": "Bạc Liêu", "96": "Cà Mau",
    }
)  # fmt: skip

SINCE_REFORM: Mapping[str, str] = MappingProxyType(
    {
        "01": "Hà Nội", "04": "Cao Bằng", "08": "Tuyên Quang", "11": "Điện Biên",
        "12": "Lai Châu", "14": "Sơn La", "15": "Lào Cai", "19": "Thái Nguyên", "20": "Lạng Sơn",
        "22": "Quảng Ninh", "24": "Bắc Ninh", "25": "Phú Thọ", "31": "Hải Phòng",
        "33": "Hưng Yên", "37": "Ninh Bình", "38": "Thanh Hóa", "40": "Nghệ An", "42": "Hà Tĩnh",
        "44": "Quảng Trị", "46": "Huế", "48": "Đà Nẵng", "51": "Quảng Ngãi", "52": "Gia Lai",
        "56": "Khánh Hòa", "66": "Đắk Lắk", "68": "Lâm Đồng", "75": "Đồng Nai",
        "79": "Thành phố Hồ Chí Minh", "80": "Tây Ninh", "82": "Đồng Tháp", "86": "Vĩnh Long",
        "91": "An Giang", "92": "Cần Thơ", "96": "Cà Mau",
    }
)  # fmt: skip

CODES = frozenset(BEFORE_REFORM) | frozenset(SINCE_REFORM)


def province(code: str, year: int) -> str | None:
    """The name of the province that a code of two digits meant in a year.

    None for a code that was not in use, and in 2025 for one that changed its meaning in July.
    """
    before, since = BEFORE_REFORM.get(code), SINCE_REFORM.get(code)
    if year < REFORM_YEAR:
        return before
    if year > REFORM_YEAR:
        return since
    return before if since is None or before == since else None
