"""A person's names as they are compared: folded words in the order family, middle, given.

https://hl7.org/fhir/R4/datatypes.html#HumanName. A Vietnamese name ends with the given name
("Nguyễn Hữu Nam"); some peoples have no family name, or an apostrophe in a word ("H'Hen Niê",
"K'Brơi"). So the place of a word in the whole name says what it is, however the sender divided it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from unicodedata import normalize

from ehr_server.identity.folding import fold
from ehr_server.identity.frequencies import Role, is_family_name

WORDS_MAX = 8  # of a name
NAMES_MAX = 4  # of a person
_TEXT_MAX = 200  # characters of a name that are looked at

# Two words: the same, but for tones that both names have, but for one slip of the hand; one of
# them is not there or is an initial; another word.
Level = Literal["same", "tones", "close", "lost", "other"]

_LETTERLESS = re.compile(r"[^\w ]|_")
_MARK = re.compile("[\u0300-\u036fđ]")
_INITIAL_MAX = 2  # letters of an abbreviated word: T., Ng.


@dataclass(frozen=True, slots=True)
class Name:
    """`words` are folded, `marks` the tones and accents of each, sorted; a name typed without any
    tells nothing of them."""

    words: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def given(self) -> str:
        """The last word, by which people are called."""
        return self.words[-1]

    @property
    def joined(self) -> str:
        """The name without the spaces, which come and go in names of minorities."""
        return "".join(self.words)

    @property
    def has_marks(self) -> bool:
        return any(self.marks)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the words of one role agree; `words` are those that do."""

    role: Role
    level: Level
    words: tuple[str, ...] = ()


def names_of(given: Any) -> tuple[Name, ...]:
    """The different names in a list of HumanNames, in their order."""
    found: dict[tuple[str, ...], Name] = {}
    for one in given if isinstance(given, list) else ():
        name = name_of(one) if isinstance(one, dict) else None
        if name is not None:
            found.setdefault(name.words, name)
    return tuple(found.values())[:NAMES_MAX]


def name_of(human_name: dict[str, Any]) -> Name | None:
    """One HumanName. The text says most; where the parts are of the same words, their order is
    sure: family first."""
    parts = _read(" ".join(_texts(human_name.get("family")) + _texts(human_name.get("given"))))
    text = _read(" ".join(_texts(human_name.get("text"))))
    if text is None or (parts is not None and sorted(parts.words) == sorted(text.words)):
        return parts
    prefix = _read(" ".join(_texts(human_name.get("prefix"))))
    at = len(prefix.words) if prefix is not None else 0
    if prefix is not None and text.words[:at] == prefix.words and len(text.words) > at:
        return Name(text.words[at:], text.marks[at:])
    return text


def name(text: str) -> Name | None:
    """A name written in one; None if there is no word in it."""
    return _read(text)


def agreements(one: Name, other: Name) -> tuple[Agreement, ...]:
    """How far two names agree, role by role; none of a role that neither has. The order of the two
    does not matter."""
    if sorted(one.words) == sorted(other.words):
        first = min(one, other, key=_order)
        second = other if first is one else one
        levels = [_marked(first, at, second) for at in range(len(first.words))]
        return _by_role(first.words, levels)
    short, long = sorted((one, other), key=lambda name: (len(name.words), name.words))
    if one.joined == other.joined:
        return _by_role(short.words, ["same"] * len(short.words))
    return _by_role(long.words, _aligned(long, short))


def is_slip(one: str, other: str) -> bool:
    """Whether one slip of the hand makes one word of the other: a letter more, less or wrong, or
    two neighbours exchanged."""
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(long) - len(short) > 1 or short == long:
        return False
    at = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    if short[at + 1 :] == long[at + 1 :]:
        return True
    return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]


def _order(name: Name) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Of two orders of the same words, that one is believed which begins with a family name."""
    return not is_family_name(name.words[0]), name.words, name.marks


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _read(text: str) -> Name | None:
    return _parsed(text[:_TEXT_MAX])


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Name | None:
    words = [
        (word, "".join(sorted(_MARK.findall(normalize("NFD", written.casefold())))))
        for written in text.replace(",", " ").split()
        if (word := _LETTERLESS.sub("", fold(written)).replace(" ", ""))
    ][:WORDS_MAX]
    if not words:
        return None
    return Name(tuple(word for word, _ in words), tuple(marks for _, marks in words))


def _by_role(words: Sequence[str], levels: Sequence[Level]) -> tuple[Agreement, ...]:
    last = len(words) - 1
    found = [Agreement("given", levels[last], _agreed(words[last:], levels[last:]))]
    if last > 1:
        middle = levels[1:last]
        found.append(Agreement("middle", _together(middle), _agreed(words[1:last], middle)))
    if last > 0:
        found.append(Agreement("family", levels[0], _agreed(words[:1], levels[:1])))
    return tuple(found)


def _agreed(words: Sequence[str], levels: Sequence[Level]) -> tuple[str, ...]:
    return tuple(word for word, level in zip(words, levels, strict=True) if level == "same")


def _together(levels: Iterable[Level]) -> Level:
    """Several middle words are as like as the least like of them."""
    return max(levels, key=_FROM_BEST.index)


_FROM_BEST: tuple[Level, ...] = ("same", "tones", "close", "lost", "other")
_WORTH: dict[Level, int] = {"same": 8, "tones": 7, "close": 5, "lost": 3, "other": 0}


def _aligned(long: Name, short: Name) -> list[Level]:
    """For each word of the longer name how its counterpart agrees: the best way to lay the words
    side by side in their order, from the end, where the given name stands."""
    rows, columns = len(long.words), len(short.words)
    if rows == columns:
        return [_level(long, at, short, at) for at in range(rows)]
    best: list[list[tuple[int, list[Level]]]] = [[(0, [])] * (columns + 1)]
    for i in range(rows - 1, -1, -1):
        below = best[-1]
        row: list[tuple[int, list[Level]]] = [(0, [])] * (columns + 1)
        row[columns] = (0, ["lost", *below[columns][1]])
        for j in range(columns - 1, -1, -1):
            level = _level(long, i, short, j)
            beside, without = below[j + 1], below[j]
            row[j] = max(
                (beside[0] + _WORTH[level], [level, *beside[1]]),
                (without[0], ["lost", *without[1]]),
                key=lambda one: one[0],
            )
        best.append(row)
    return best[-1][0][1]


def _level(one: Name, at: int, other: Name, there: int) -> Level:
    first, second = one.words[at], other.words[there]
    if first == second:
        differ = one.marks[at] != other.marks[there]
        return "tones" if differ and one.has_marks and other.has_marks else "same"
    if is_slip(first, second):
        return "close"
    short, long = sorted((first, second), key=len)
    is_initial = len(short) <= _INITIAL_MAX and long.startswith(short)
    return "lost" if is_initial else "other"


def _marked(first: Name, at: int, second: Name) -> Level:
    """A word that both names have, wherever: whether its tones are the same."""
    if not (first.has_marks and second.has_marks):
        return "same"
    word, marks = first.words[at], first.marks[at]
    there = {second.marks[i] for i, other in enumerate(second.words) if other == word}
    return "same" if marks in there else "tones"
