"""The kinds of identifier in use in Viet Nam: one kind, several naming systems.

https://hl7.org/fhir/R4/datatypes.html#Identifier. The guides of HL7 Vietnam, of the Ministry of
Health and of HIV case reporting name one number by different URIs; to the server they are one kind.
A further kind is a row of `KINDS`, a further naming system a word in its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from unicodedata import normalize

from ehr_server.identity.numbers import has_gs1_check_digit, insurance_card
from ehr_server.redact import BETWEEN

_HL7_VN = "http://fhir.hl7.org.vn/core/sid/"
_MOH = "http://fhir.ehealth.gov.vn/core/sid/"
_HIV = "https://basespecs.vn/NamingSystem/"
_OURS = "http://ehr-server.org/fhir/vn/sid/"
_PASSPORT_OF = "http://hl7.org/fhir/sid/passport-"  # then the country, in three letters

_SEPARATORS = re.compile(f"{BETWEEN}+")
_LINK_LENGTH_MAX = 100  # characters of MA_LK


def compact(value: str) -> str:
    """A number as it is compared: capitals of normal width, without the spaces, dots and hyphens of
    a typist."""
    return _SEPARATORS.sub("", normalize("NFKC", value)).upper()


def _trimmed(value: str) -> str:
    """What somebody made up, as it is compared: its own spaces and hyphens tell it apart, capitals
    do not."""
    return normalize("NFKC", value).strip().casefold()


def _matches(pattern: str) -> Callable[[str], object]:
    """A quick question to a value: something true if the whole of it fits the pattern."""
    return re.compile(pattern).fullmatch


Number = tuple[str, str]  # of which list, and the number in it: ("cccd", "001174000456")

PERSONAL, PASSPORT = "cccd", "passport"  # the lists of which one person has a number

_PERSONAL_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of identifier.

    `en` and `vi` are what people call it. Of `systems`, all of which are understood, the first is
    the one the server writes. `has_shape` says by something true that a value is formed as one of
    the kind, and `shape_en` and `shape_vi` say how: they end "The ... must ..." and "... phải ...".
    `has_check_digit` is asked of values of that shape. `normal` makes the form in which two values
    are compared. `taken_for` names the kinds whose values are found here by mistake. `numbers`
    tells, of a normal value, which number it is of which list: one list may stand behind several
    kinds, and a card may hold two numbers. `is_free`: anything may be a value, so that a bare one
    does not tell its kind.
    """

    name: str
    en: str
    vi: str
    systems: tuple[str, ...]
    has_shape: Callable[[str], object]
    shape_en: str
    shape_vi: str
    normal: Callable[[str], str] = compact
    has_check_digit: Callable[[str], bool] | None = None
    taken_for: tuple[str, ...] = ()
    numbers: Callable[[str], tuple[Number, ...]] | None = None
    is_free: bool = False

    @property
    def system(self) -> str:
        """The naming system that the server writes."""
        return self.systems[0]

    def numbers_of(self, normal: str) -> tuple[Number, ...]:
        """The numbers that a value of good shape is, in its normal form."""
        return ((self.name, normal),) if self.numbers is None else self.numbers(normal)


def _of_identity_card(value: str) -> tuple[Number, ...]:
    """The last identity cards had the 12 digits that are the personal number now (Circular
    07/2016/TT-BCA Article 7)."""
    return ((PERSONAL if len(value) == _PERSONAL_LENGTH else "cmnd", value),)


def _of_insurance(value: str) -> tuple[Number, ...]:
    """Three forms in parallel (Decree 188/2025/NĐ-CP Article 10). Group, level and province of a
    card change in a life, its last ten digits do not."""
    card = insurance_card(value)
    if card is not None:
        return (("bhyt", value), ("bhxh", card.bhxh))
    return ((PERSONAL if len(value) == _PERSONAL_LENGTH else "bhxh", value),)


_looks_personal = re.compile("[0-9]{12}").fullmatch

KINDS: tuple[Kind, ...] = (
    Kind(
        "cccd",
        "personal identification number (CCCD)",
        "Số CCCD",
        (f"{_HL7_VN}cccd", f"{_MOH}national_id", f"{_HIV}NationalID"),
        _matches("[0-9]{12}"),
        "have exactly 12 digits",
        "gồm đúng 12 chữ số",
        taken_for=("cmnd",),
    ),
    Kind(
        "cmnd",
        "number of the former identity card (CMND)",
        "Số CMND",
        # The last one is spelt like that in the published guide.
        (f"{_HL7_VN}cmnd", f"{_MOH}citizen_id", f"{_HIV}NationalID9", f"h{_HIV}NationalID9"),
        _matches("[0-9]{9}(?:[0-9]{3})?"),
        "have 9 or 12 digits",
        "gồm 9 hoặc 12 chữ số",
        numbers=_of_identity_card,
    ),
    Kind(
        "bhyt",
        "health insurance number (BHYT)",
        "Số thẻ BHYT",
        (f"{_HL7_VN}bhyt", f"{_MOH}insurance_number", f"{_HIV}InsuranceNumbers"),
        _matches("[A-Z]{2}[1-5][0-9]{12}|[0-9]{10}(?:[0-9]{2})?"),
        "be a card's 15 characters (two capital letters, a level from 1 to 5, 12 digits), the 10 "
        "digits of the BHXH number or the 12 digits of the CCCD number",
        "là mã thẻ 15 ký tự (hai chữ hoa, mức hưởng từ 1 đến 5, 12 chữ số), mã số BHXH 10 chữ số "
        "hoặc số CCCD 12 chữ số",
        numbers=_of_insurance,
    ),
    Kind(
        "bhxh",
        "social insurance number (BHXH)",
        "Mã số BHXH",
        (f"{_HL7_VN}bhxh",),
        _matches("[0-9]{10}"),
        "have exactly 10 digits",
        "gồm đúng 10 chữ số",
        taken_for=("cccd", "bhyt"),
    ),
    Kind(
        "passport",
        "passport number",
        "Số hộ chiếu",
        (f"{_HL7_VN}passport", f"{_MOH}passport_number", f"{_HIV}PassportNumbers"),
        _matches("[A-Z0-9]{6,9}"),
        "have 6 to 9 capital letters and digits",
        "gồm 6 đến 9 chữ hoa và chữ số",
    ),
    Kind(
        "driver",
        "driving licence number",
        "Số giấy phép lái xe",
        # The Ministry's NamingSystem has hyphens, its profile underscores.
        (f"{_MOH}driver-license-number", f"{_MOH}driver_license_number", f"{_HIV}DriverID"),
        str.strip,
        "not be blank",
        "có nội dung",
        is_free=True,
    ),
    Kind(
        "facility",
        "code of a health facility (MA_CSKCB)",
        "Mã cơ sở KCB",
        (f"{_HL7_VN}ma-cskcb", f"{_MOH}provider-code"),
        _matches("[0-9]{5}"),
        "have exactly 5 digits",
        "gồm đúng 5 chữ số",
        taken_for=("gln",),
    ),
    Kind(
        "gln",
        "global location number of a health facility (GLN)",
        "Mã GLN của cơ sở KCB",
        (f"{_HL7_VN}gln",),
        _matches("893[0-9]{10}"),
        "have 13 digits that begin with 893",
        "gồm 13 chữ số, bắt đầu bằng 893",
        has_check_digit=has_gs1_check_digit,
        taken_for=("facility",),
    ),
    Kind(
        "licence",
        "number of a practising certificate (CCHN)",
        "Số chứng chỉ hành nghề",
        (f"{_HL7_VN}cchn",),
        str.strip,
        "not be blank",
        "có nội dung",
        normal=lambda value: "".join(normalize("NFKC", value).split()).upper(),
        is_free=True,
    ),
    Kind(
        "ma-lk",
        "key of a visit or checkup (MA_LK)",
        "Mã liên kết (MA_LK)",
        (f"{_HL7_VN}ma-lk", f"{_MOH}VisitNumber"),
        lambda value: value.strip() and len(value) <= _LINK_LENGTH_MAX,
        f"have 1 to {_LINK_LENGTH_MAX} characters",
        f"có từ 1 đến {_LINK_LENGTH_MAX} ký tự",
        normal=_trimmed,
        is_free=True,
    ),
    Kind(
        "mrn",
        "patient number of a facility (MRN)",
        "Mã bệnh nhân",
        (f"{_HL7_VN}mrn", f"{_MOH}patient-internal-id"),
        str.strip,
        "not be blank",
        "có nội dung",
        normal=_trimmed,
        is_free=True,
    ),
    Kind(
        "birth-certificate",
        "number of a birth certificate",
        "Số giấy chứng sinh",
        (f"{_OURS}birth-certificate",),
        str.strip,
        "not be blank",
        "có nội dung",
        normal=lambda value: "".join(normalize("NFKC", value).split()).upper(),
        is_free=True,
    ),
    Kind(
        "temporary",
        "temporary number of a person who is not known yet",
        "Mã tạm",
        (f"{_OURS}temporary",),
        lambda value: value.strip() and _looks_personal(compact(value)) is None,
        "not be blank, nor have 12 digits, which is a personal number",
        "có nội dung và không được gồm 12 chữ số như số CCCD",
        normal=_trimmed,
        is_free=True,
    ),
)

_BY_NAME: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in KINDS})
_BY_SYSTEM: Mapping[str, Kind] = MappingProxyType(
    {system: kind for kind in KINDS for system in kind.systems}
)


def kind_of(system: str) -> Kind | None:
    """The kind that a naming system holds numbers of; None for a system that is not known.

    Each country has a naming system of its passports: https://terminology.hl7.org/external_id.html.
    """
    found = _BY_SYSTEM.get(system)
    if found is None and system.startswith(_PASSPORT_OF):
        return _BY_NAME[PASSPORT]
    return found


def country_of(system: str) -> str | None:
    """The country whose passports the naming system is of, in three capitals; None where that is
    not said."""
    if not system.startswith(_PASSPORT_OF):
        return None
    return system.removeprefix(_PASSPORT_OF).upper()


def kind_named(name: str) -> Kind:
    """The kind of a name such as `cccd`. Raises KeyError if there is none."""
    return _BY_NAME[name]
