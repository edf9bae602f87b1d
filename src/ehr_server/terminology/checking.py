"""Whether a coding is right, and if not, what would be.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html and
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ehr_server.errors import Refusal
from ehr_server.identity.folding import fold
from ehr_server.terminology.refusals import system_not_loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ehr_server.terminology.concepts import Concepts
    from ehr_server.terminology.expansion import Group
    from ehr_server.terminology.membership import Member

_NAMED = 10  # codes in a message
_COMPARED_MAX = 2000  # codes: beyond that a close one is not searched for


@dataclass(frozen=True, slots=True)
class Coded:
    """A coding as it was sent; `system` "" where none was."""

    system: str
    code: str
    display: str = ""
    version: str = ""

    @property
    def canonical(self) -> str:
        """The system, with its version if one was sent."""
        return f"{self.system}|{self.version}" if self.version else self.system


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a coding is right; `text` and `vi` say what would be, `display` what it is called."""

    result: bool
    text: str = ""
    vi: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class ValueSetAsked:
    """A value set to check against: its closure, its codes where a message needs them (which may
    be refused), and the code systems that are loaded."""

    url: str
    member: Member
    groups: Callable[[], Sequence[Group]]
    system: Callable[[str], Concepts | None]
    with_abstract: bool = True
    language: str = ""


def in_value_set(coded: Coded, asked: ValueSetAsked) -> Verdict:
    """Whether a coding is in a value set and called rightly.

    Raises `NotLoaded` where that cannot be said.
    """
    concepts = asked.system(coded.canonical)
    if _is_abstract(coded, concepts) and not asked.with_abstract:
        return _only_groups(coded)
    answer = asked.member(coded.system, coded.code)
    if answer is False and _is_abstract(coded, concepts):
        answer = any(True for _ in _places(coded, _codes(asked)))
    if answer is None:
        raise system_not_loaded(coded.system)
    if not answer:
        return _not_in(coded, asked, concepts)
    at = None if concepts is None else concepts.find(coded.code)
    if concepts is not None and at is not None:
        return called(coded, concepts, at, asked.language)
    for group, place in _places(coded, _codes(asked)):
        return called(coded, group.concepts, place, asked.language)
    return Verdict(True)


def in_system(coded: Coded, concepts: Concepts, *, with_abstract: bool, language: str) -> Verdict:
    """Whether a system has the code and calls it so. Raises `NotLoaded` of a part of a system."""
    if coded.system and coded.system != concepts.system:
        return Verdict(
            False,
            f"The system is {coded.system}, but {concepts.system} is asked about.",
            f"Hệ mã gửi lên là {coded.system}, nhưng câu hỏi là về {concepts.system}.",
        )
    at = concepts.find(coded.code)
    if at is None:
        if not concepts.is_whole:
            raise system_not_loaded(concepts.system)
        return _unknown(coded.code, concepts)
    if at in concepts.abstract and not with_abstract:
        return _only_groups(coded)
    return called(coded, concepts, at, language)


def called(coded: Coded, concepts: Concepts, at: int, language: str = "") -> Verdict:
    """Whether the display is one of the names of the concept, its case and accents aside."""
    display = concepts.display(at, language)
    if not coded.display or fold(coded.display) in map(fold, concepts.names(at)):
        return Verdict(True, display=display)
    names = list(dict.fromkeys(concepts.names(at)))[:_NAMED]
    if not names:
        return Verdict(True)
    listed = "; ".join(names)
    return Verdict(
        False,
        f"The code {coded.code} is right, but its display is not; it is called: {listed}.",
        f"Mã {coded.code} đúng nhưng tên hiển thị sai; tên của mã: {listed}.",
        display,
    )


def _not_in(coded: Coded, asked: ValueSetAsked, concepts: Concepts | None) -> Verdict:
    """The code is not in the value set: why, and what is."""
    if concepts is not None and concepts.is_whole and concepts.find(coded.code) is None:
        return _unknown(coded.code, concepts)
    groups = _codes(asked)
    others = {group.concepts.system for group, _ in _places(Coded("", coded.code), groups)}
    mend, mend_vi = "", ""
    if others:
        listed = ", ".join(sorted(others))
        mend = f" It has that code of the system {listed}."
        mend_vi = f" Bộ giá trị có mã đó thuộc hệ {listed}."
    elif groups:
        codes = [group.concepts.codes[at] for group in groups for at in group.positions[:_NAMED]]
        near = _near(coded.code, groups)
        more = sum(len(group.positions) for group in groups) > len(codes[:_NAMED])
        listed = ", ".join(near or codes[:_NAMED]) + ("" if near or not more else ", …")
        mend = f" Did you mean {listed}?" if near else f" It has: {listed}."
        mend_vi = f" Có phải {listed}?" if near else f" Các mã có: {listed}."
    return Verdict(
        False,
        f"The code {coded.code} of {coded.system} is not in the value set {asked.url}.{mend}",
        f"Mã {coded.code} của {coded.system} không có trong bộ giá trị {asked.url}.{mend_vi}",
    )


def _only_groups(coded: Coded) -> Verdict:
    return Verdict(
        False,
        f"The code {coded.code} only groups others: choose one below it.",
        f"Mã {coded.code} chỉ để phân nhóm: hãy chọn mã bên dưới.",
    )


def _unknown(code: str, concepts: Concepts) -> Verdict:
    """The system has no such code; is there one that is nearly so?"""
    near = _close(code, concepts.codes)
    mend = f" Did you mean {', '.join(near)}?" if near else ""
    mend_vi = f" Có phải {', '.join(near)}?" if near else ""
    return Verdict(
        False,
        f"The system {concepts.system} has no code {code}.{mend}",
        f"Hệ mã {concepts.system} không có mã {code}.{mend_vi}",
    )


def _is_abstract(coded: Coded, concepts: Concepts | None) -> bool:
    return concepts is not None and concepts.find(coded.code) in concepts.abstract


def _codes(asked: ValueSetAsked) -> Sequence[Group]:
    """The codes of the value set, none where they cannot be listed."""
    try:
        return asked.groups()
    except Refusal:
        return ()


def _places(coded: Coded, groups: Iterable[Group]) -> Iterable[tuple[Group, int]]:
    """Where the groups have the code; of any system if none is given."""
    for group in groups:
        if coded.system in ("", group.concepts.system):
            at = group.concepts.find(coded.code)
            if at is not None and at in group.positions:
                yield group, at


def _near(code: str, groups: Sequence[Group]) -> list[str]:
    if sum(len(group.positions) for group in groups) > _COMPARED_MAX:
        return []
    return _close(code, [group.concepts.codes[at] for group in groups for at in group.positions])


def _close(code: str, codes: Sequence[str]) -> list[str]:
    """The code in another case, else some that are written almost like it."""
    if len(codes) > _COMPARED_MAX:
        return []
    folded = code.casefold()
    same = [one for one in codes if one.casefold() == folded]
    return same or get_close_matches(code[:100], codes, 3, 0.75)
