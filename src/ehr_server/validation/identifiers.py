"""Whether the identifiers of a resource are formed as their kinds are, and agree with the person.

https://hl7.org/fhir/R4/datatypes.html#Identifier, for the kinds of `identity.kinds`. Two forms of
one truth: `are_sound` says yes in about a microsecond, `findings` says why not.

A bad shape is an error, and a letter where a digit belongs is named with the digit it is like. A
number with the spaces, dots or hyphens of a typist, in small letters or in digits of full width, is
understood and stored as sent, with a warning. What a number tells against the record (sex, year, a
province nobody knows) is a warning: numbers are issued anew when a sex or a year of birth is
corrected (Decree 70/2024 Article 11), and people register births abroad. An identifier with `use` =
old is asked for its shape alone, and a bad one is a warning: the number is history, nobody can mend
it, it has to stay searchable, and that it disagrees with the person may be why it is old.

A value may be missing (an extension may say why); a system that is not known is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ehr_server.identity.kinds import KINDS, Kind, kind_named, kind_of
from ehr_server.identity.likely import likely_digit
from ehr_server.identity.numbers import (
    LEVEL_OF_GROUP,
    PROVINCE_PREFIXES,
    SEX_AND_YEAR,
    insurance_card,
    personal_number,
)
from ehr_server.issue import Issue, Severity

Resource = dict[str, Any]

_CCCD, _BHYT = kind_named("cccd"), kind_named("bhyt")
_SEXES = ("male", "female")


def are_sound(resource: Resource) -> bool:
    """Whether nothing is to be said about the identifiers of a resource: `findings` has none.

    A resource that is not even well formed may be called unsound without a finding.
    """
    held = resource.get("identifier")
    if held is None:
        return True
    try:
        for identifier in held if type(held) is list else (held,):
            is_plain = _PLAIN.get(system := identifier.get("system"))
            if is_plain is None or (value := identifier.get("value")) is None:
                continue
            is_personal = len(value) == _PERSONAL_LENGTH and system in _PERSONAL
            if is_plain(value) and (not is_personal or _agrees(value, resource)):
                continue
            if not _is_sound_history(identifier):
                return False
        return "subscriberId" not in resource or _subscriber_finding(resource) is None
    except (AttributeError, KeyError, TypeError):
        return False


def findings(resource: Resource) -> list[Issue]:
    """What is wrong or doubtful in `identifier` (one or many) and in `Coverage.subscriberId`.

    Only of the resource itself, not of those in it. Elements that are not well formed are left to
    the structural check. No text holds a value.
    """
    found: list[Issue] = []
    for place, identifier in _identifiers(resource):
        kind, value = _known(identifier), identifier.get("value")
        if kind is None or not isinstance(value, str):
            continue
        is_old, normal = identifier.get("use") == "old", kind.normal(value)
        flaw = _flaw(kind, value, place, "warning" if is_old else "error")
        if flaw is not None:
            found.append(flaw)
        elif not is_old:
            found += [
                doubt.issue(f"{place}.value")
                for doubt in _DOUBTS.get(kind.name, ())
                if doubt.is_raised(normal, resource)
            ]
    subscriber = _subscriber_finding(resource)
    return found if subscriber is None else [*found, subscriber]


def _identifiers(resource: Resource) -> Iterator[tuple[str, Resource]]:
    held, place = resource.get("identifier"), f"{resource.get('resourceType')}.identifier"
    if isinstance(held, dict):
        yield place, held
    elif isinstance(held, list):
        for index, identifier in enumerate(held):
            if isinstance(identifier, dict):
                yield f"{place}[{index}]", identifier


def _known(identifier: Resource) -> Kind | None:
    """The kind, of a naming system of Viet Nam: other countries' passports are not judged."""
    system = identifier.get("system")
    return kind_of(system) if isinstance(system, str) and system in _PLAIN else None


# What is wrong with a number as one of its kind


def _flaw(kind: Kind, value: str, place: str, severity: Severity) -> Issue | None:
    normal = kind.normal(value)
    if not kind.has_shape(normal):
        for name in kind.taken_for:
            other = kind_named(name)
            if other.has_shape(other.normal(value)):
                return _taken_for(kind, other, f"{place}.system", severity)
        likely = likely_digit(kind, value)
        if likely is not None:
            return _letter(kind, likely, f"{place}.value", severity)
        return _misshapen(kind, f"{place}.value", severity)
    if kind.has_check_digit is not None and not kind.has_check_digit(normal):
        return Issue(
            severity,
            "value",
            f"The check digit of the {kind.en} is wrong: a digit is mistyped or two are swapped.",
            (f"{place}.value",),
            f"{kind.vi} có chữ số kiểm tra sai: một chữ số bị gõ nhầm hoặc hai chữ số bị đổi chỗ.",
            f"{kind.name}-check-digit",
        )
    return None if kind.has_shape(value) else _misspelt(kind, f"{place}.value")


def _misshapen(kind: Kind, place: str, severity: Severity) -> Issue:
    return Issue(
        severity,
        "value",
        f"The {kind.en} must {kind.shape_en}.",
        (place,),
        f"{kind.vi} phải {kind.shape_vi}.",
        f"{kind.name}-shape",
    )


def _letter(kind: Kind, likely: tuple[int, str, str], place: str, severity: Severity) -> Issue:
    at, letter, digit = likely
    return Issue(
        severity,
        "value",
        f"Character {at} of the {kind.en} is the letter {letter}, where a digit belongs: probably "
        f"{digit}. Check it on the card.",
        (place,),
        f"Ký tự thứ {at} của {kind.vi} là chữ {letter}, nơi phải là chữ số: có lẽ là {digit}. Hãy "
        "xem lại trên thẻ.",
        f"{kind.name}-letter",
    )


def _misspelt(kind: Kind, place: str) -> Issue:
    return Issue(
        "warning",
        "value",
        f"The {kind.en} is written with spaces, dots, hyphens, small letters or digits of full "
        "width: it is stored as sent and found by its plain form, but send it plain.",
        (place,),
        f"{kind.vi} có dấu cách, dấu chấm, gạch nối, chữ thường hoặc chữ số toàn khổ: vẫn được lưu "
        "như đã gửi và tìm được theo dạng chuẩn, nhưng xin gửi dạng chuẩn.",
        f"{kind.name}-spelling",
    )


def _taken_for(kind: Kind, other: Kind, place: str, severity: Severity) -> Issue:
    vi = other.vi[0].lower() + other.vi[1:]
    return Issue(
        severity,
        "value",
        f"This system is for the {kind.en}, which must {kind.shape_en}, but the value is formed as "
        f"the {other.en}: give that with the system {other.system}.",
        (place,),
        f"{kind.vi} phải {kind.shape_vi}, nhưng giá trị ở đây có dạng {vi}: hãy dùng system "
        f"{other.system}.",
        f"{kind.name}-system",
    )


def _subscriber_finding(resource: Resource) -> Issue | None:
    """The subscriber of a Coverage by an insurance card has an insurance number too."""
    value = resource.get("subscriberId")
    if not isinstance(value, str) or _BHYT.has_shape(_BHYT.normal(value)):
        return None
    if all(_known(identifier) is not _BHYT for _, identifier in _identifiers(resource)):
        return None
    return _misshapen(_BHYT, f"{resource.get('resourceType')}.subscriberId", "error")


# What a number tells that is doubtful


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A question to a number of good shape and the resource that carries it."""

    is_raised: Callable[[str, Resource], bool]
    rule: str
    severity: Severity
    code: str
    text: str
    vi: str

    def issue(self, place: str) -> Issue:
        return Issue(self.severity, self.code, self.text, (place,), self.vi, self.rule)


def _is_of_no_province(value: str, _: Resource) -> bool:
    number = personal_number(value)
    return number is not None and number.prefix not in PROVINCE_PREFIXES


def _tells_other_sex(value: str, person: Resource) -> bool:
    number, gender = personal_number(value), person.get("gender")
    return number is not None and gender in _SEXES and gender != number.sex


def _tells_other_year(value: str, person: Resource) -> bool:
    number, born = personal_number(value), person.get("birthDate")
    return number is not None and isinstance(born, str) and born[:4] != str(number.year)


def _is_of_no_group(value: str, _: Resource) -> bool:
    card = insurance_card(value)
    return card is not None and card.group not in LEVEL_OF_GROUP


def _has_other_level(value: str, _: Resource) -> bool:
    card = insurance_card(value)
    return card is not None and LEVEL_OF_GROUP.get(card.group, card.level) != card.level


_OF_PERSONAL_NUMBERS = (
    _Doubt(
        _is_of_no_province,
        "cccd-province",
        "warning",
        "code-invalid",
        "The first three digits of the CCCD number are no province's code: check the number. Of "
        "people whose birth was registered abroad they are a country's code and may be right.",
        "Ba chữ số đầu của số CCCD không phải mã tỉnh, thành phố: hãy kiểm tra lại số. Với người "
        "đăng ký khai sinh ở nước ngoài, đó là mã quốc gia và có thể đúng.",
    ),
    _Doubt(
        _tells_other_sex,
        "cccd-gender",
        "warning",
        "business-rule",
        "The CCCD number tells another sex than gender: check both. If a new number was issued, "
        "mark the former one with use = old.",
        "Số CCCD cho biết giới tính khác với gender: hãy kiểm tra lại cả hai. Nếu đã được cấp số "
        "mới, hãy ghi use = old cho số cũ.",
    ),
    _Doubt(
        _tells_other_year,
        "cccd-birthdate",
        "warning",
        "business-rule",
        "The CCCD number tells another year of birth than birthDate: check both. If a new number "
        "was issued, mark the former one with use = old.",
        "Số CCCD cho biết năm sinh khác với birthDate: hãy kiểm tra lại cả hai. Nếu đã được cấp số "
        "mới, hãy ghi use = old cho số cũ.",
    ),
)
_OF_CARDS = (
    _Doubt(
        _is_of_no_group,
        "bhyt-group",
        "warning",
        "code-invalid",
        "The first two letters of the BHYT card's number are no known group of insured people: "
        "check the number.",
        "Hai chữ đầu của mã thẻ BHYT không thuộc nhóm đối tượng đã biết: hãy kiểm tra lại số thẻ.",
    ),
    _Doubt(
        _has_other_level,
        "bhyt-level",
        "information",
        "business-rule",
        "The third character of the BHYT card's number, the benefit level, is not the usual one of "
        "the group.",
        "Ký tự thứ ba của mã thẻ BHYT (mức hưởng) không phải mức thường gặp của nhóm đối tượng.",
    ),
)
_DOUBTS: Mapping[str, tuple[_Doubt, ...]] = MappingProxyType(
    {"cccd": _OF_PERSONAL_NUMBERS, "bhyt": (*_OF_CARDS, *_OF_PERSONAL_NUMBERS)}
)


# The same, quick


def _agrees(value: str, resource: Resource) -> bool:
    """Whether a personal number tells the sex and the year that the resource has."""
    gender, born = resource.get("gender"), resource.get("birthDate")
    if gender and born and gender + born[:4] == _TOLD[value[3:6]]:
        return True
    return not _tells_other_sex(value, resource) and not _tells_other_year(value, resource)


def _is_sound_history(identifier: Resource) -> bool:
    kind, value = kind_of(identifier["system"]), identifier["value"]
    if identifier.get("use") != "old" or kind is None:
        return False
    return _flaw(kind, value, "", "warning") is None


def _one_of(codes: Iterable[str]) -> str:
    """A pattern of codes of equal length: `0[124]|1[01]` tries fewer branches than they are."""
    seconds: dict[tuple[str, str], str] = {}
    for code in sorted(codes):
        ends = code[0], code[2:]
        seconds[ends] = seconds.get(ends, "") + code[1]
    return "|".join(f"{first}[{second}]{rest}" for (first, rest), second in seconds.items())


_NUMBER = f"0(?:{_one_of(prefix[1:] for prefix in PROVINCE_PREFIXES)})[0-9]{{9}}"
_CARD = f"(?:{_one_of(group + level for group, level in LEVEL_OF_GROUP.items())})[0-9]{{12}}"
_DOUBTLESS: Mapping[str, Callable[[str], object]] = {
    "cccd": re.compile(_NUMBER).fullmatch,
    "bhyt": re.compile(f"{_CARD}|{_NUMBER}|[0-9]{{10}}").fullmatch,
}


def _is_plain(kind: Kind) -> Callable[[str], object]:
    """The question whether a value has neither a flaw nor raises a doubt by itself."""
    if kind.has_check_digit is None:
        return _DOUBTLESS.get(kind.name, kind.has_shape)
    return lambda value: _flaw(kind, value, "", "error") is None


# Plain dicts, as these are asked for each identifier: a read-only view of one takes 200 ns.
_PLAIN: Mapping[str, Callable[[str], object]] = {
    system: _is_plain(kind) for kind in KINDS for system in kind.systems
}
# Where personal numbers stand: in their own systems, and as numbers of the insured.
_PERSONAL = frozenset(_CCCD.systems + _BHYT.systems)
_PERSONAL_LENGTH = 12
# The third to fifth place of a personal number -> what it tells, as one word: "female1974".
_TOLD: Mapping[str, str] = {key: sex + year for key, (sex, year) in SEX_AND_YEAR.items()}
