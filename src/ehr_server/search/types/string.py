"""Names, addresses and other words: what starts with the value, tones and accents aside.

https://hl7.org/fhir/R4/search.html#string. A name is found by its words in any order, each from
its beginning; `:exact` compares what was sent, `:contains` and the `ew` of `_filter` look inside.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from unicodedata import normalize

from ehr_server.hashing import hash64
from ehr_server.identity.folding import fold
from ehr_server.search.escapes import unescape
from ehr_server.search.facts import Facts
from ehr_server.search.grams import SIZE, grams
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, STRING_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of

MODIFIERS = frozenset(("exact", "contains"))

_ADDRESS = ("text", "city", "district", "state", "postalCode", "country")
_LAST = 0x10FFFF
_LETTERS = 0x20  # the letter of parameter 0; numbers are below 32,768
_WORDS_MAX = 10  # of a searched name

How = Literal["starts", "exact", "contains", "equals", "ends-with"]  # the last two: of _filter


@dataclass(frozen=True, slots=True)
class Words:
    """A text: `folded` (`identity.folding`), and as it is, to be found in the way `how` says.

    `words`: those of a name, each of which must begin a word of it.
    """

    how: How
    folded: str
    text: str = ""
    words: tuple[str, ...] = ()


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,
) -> Callable[[Any, Rows], None] | None:
    """Texts, and the parts of names and addresses."""
    number = parameter.number
    if type_name == "HumanName":
        return _names(parameter)
    parts_of = _parts_of(type_name)
    if parts_of is None:
        return None

    def take(value: Any, rows: Rows) -> None:
        rows.strings += [_row(number, part) for part in parts_of(value)]

    return take


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Words:
    """A text of at least one character that counts."""
    plain = unescape(text)
    folded = fold(plain)
    if not folded:
        raise Malformed("has nothing to search for", "không có nội dung để tìm")
    if modifier == "exact":
        return Words("exact", folded[:STRING_MAX], normalize("NFC", plain))
    if modifier:
        return Words(modifier, folded[:STRING_MAX])  # type: ignore[arg-type]
    words = tuple(dict.fromkeys(folded[:STRING_MAX].split(" ")))
    if not source.parameter.is_name or len(words) == 1:
        return Words("starts", folded[:STRING_MAX])
    if len(words) > _WORDS_MAX:
        raise Malformed(
            f"has {len(words)} words; at most {_WORDS_MAX} of a name are looked for",
            f"có {len(words)} từ; tên chỉ tìm tối đa {_WORDS_MAX} từ",
        )
    return Words("starts", folded[:STRING_MAX], words=words)


def where(terms: Sequence[Words], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """A side row is as one of the terms says; of a name of several words, one row for each."""
    single = [term for term in terms if not term.words]
    parts = [
        all_of(_beside(row, of_parameter(parameter, "x", word)) for word in _longest(term))
        for term in terms
        if term.words
    ]
    if single:
        parts.append(_beside(row, any_of(_met(term, parameter) for term in single)))
    return any_of(parts)


def matches(term: Words, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether a value of the FHIR type is as the term says; not for several words (`apart`)."""
    parts_of = _parts_of(type_name)
    parts = list(parts_of(value)) if parts_of else []
    if term.how == "exact":
        return term.text in [normalize("NFC", part) for part in parts]
    folded = [fold(part)[:STRING_MAX] for part in parts]
    if type_name == "HumanName" and term.how == "starts":
        folded += [word for part in folded for word in part.split(" ")]
    tests: dict[How, Callable[[str], bool]] = {
        "starts": lambda part: part.startswith(term.folded),
        "contains": lambda part: term.folded in part,
        "equals": lambda part: part == term.folded,
        "ends-with": lambda part: part.endswith(term.folded),
    }
    return any(map(tests[term.how], folded))


def letter(parameter: Parameter) -> str:
    """The letter before the texts of a parameter: none that stands for half of a pair."""
    return chr(_LETTERS + parameter.number)


def of_parameter(parameter: Parameter, row: str, start: str = "") -> Sql:
    """A row of the table holds a text of the parameter, which begins so."""
    if start:
        return begins(f"{row}.value", letter(parameter) + start)
    own = _LETTERS + parameter.number
    return Sql(f"{row}.value >= chr({own}) and {row}.value < chr({own + 1})")


def apart(term: Words) -> tuple[Words, ...]:
    """What must each be met, by whichever values: a person may have the words in several names."""
    return tuple(Words("starts", word) for word in term.words) or (term,)


def begins(column: str, start: str) -> Sql:
    """A column of texts begins with a text: as a range of the index, which `like` with a
    parameter would not be."""
    end = _successor(start)
    if end is None:
        return Sql(f"{column} >= %s", (start,))
    return Sql(f"({column} >= %s and {column} < %s)", (start, end))


def _longest(term: Words) -> list[str]:
    """Long words first: they are rarer, and the database looks at conditions in turn."""
    return sorted(term.words, key=lambda word: -len(word))


def _beside(row: str, condition: Sql) -> Sql:
    """The resource has a side row `x` for which the condition holds."""
    return Sql(
        f"exists (select from string x where x.comp = {row}.comp and x.key = {row}.key"
        f" and {condition.text})",
        condition.params,
    )


def _met(term: Words, parameter: Parameter) -> Sql:
    whole = letter(parameter) + term.folded
    match term.how:
        case "starts":
            return of_parameter(parameter, "x", term.folded)
        case "exact":
            return Sql("(x.value = %s and x.exact = %s)", (whole, _exact(term.text)))
        case "equals":
            return Sql("(x.value = %s and x.exact <> 0)", (whole,))
        case "ends-with":
            ends = Sql("right(x.value, %s) = %s and x.exact <> 0", (len(term.folded), term.folded))
            return all_of((of_parameter(parameter, "x"), ends))
    inside = all_of(
        (of_parameter(parameter, "x"), Sql("position(%s in x.value) > 0", (term.folded,)))
    )
    if len(term.folded) < SIZE:
        return inside
    pieces = grams(parameter.number, term.folded)
    return all_of((Sql("x.grams @> %s::integer[]", (pieces,)), inside))


def _successor(start: str) -> str | None:
    """The first text after all that begin with `start`, by code points; None: there is none."""
    for at in range(len(start) - 1, -1, -1):
        point = ord(start[at])
        if point < _LAST:
            point = 0xE000 if point == 0xD7FF else point + 1  # no surrogates
            return start[:at] + chr(point)
    return None


def _exact(text: str) -> int:
    """The hash of a text as it is, which tells it from others that fold to the same."""
    return hash64("exact", text)


Row = tuple[str, int, list[int]]


def _new_row(number: int, text: str) -> Row:
    folded = fold(text)[:STRING_MAX]
    value = chr(_LETTERS + number) + folded
    return value, _exact(normalize("NFC", text)), grams(number, folded)


_cached = lru_cache(maxsize=16_384)(_new_row)  # the parts of names and addresses repeat


def _row(number: int, text: str) -> Row:
    return (_cached if len(text) < CACHED_MAX else _new_row)(number, text)


def _names(parameter: Parameter) -> Callable[[Any, Rows], None]:
    """Each part; its words too, where they do not begin one; pieces of what no other contains."""
    number, first = parameter.number, letter(parameter)

    def take(value: Any, rows: Rows) -> None:
        parts = [_row(number, part) for part in _of_name(value)]
        if not parts:
            return
        whole = parts[0][0]  # the text of the name contains its parts, as a rule
        rows.strings.append(parts[0])
        for part in parts[1:]:
            rows.strings.append((*part[:2], []) if part[0][1:] in whole else part)
        known = {part[0][1:] for part in parts}
        words = dict.fromkeys(word for part in known for word in part.split(" "))
        rows.strings += [(first + word, 0, []) for word in words if word and word not in known]

    return take


def _parts_of(type_name: str) -> Callable[[Any], Iterator[str]] | None:
    if type_name == "HumanName":
        return _of_name
    if type_name == "Address":
        return _of_address
    return _itself if type_name[0].islower() else None


def _itself(value: Any) -> Iterator[str]:
    yield value


def _of_name(name: dict[str, Any]) -> Iterator[str]:
    """The text, or what it would be: the family name first, as in Vietnam; then the parts."""
    family, given = name.get("family"), [one for one in name.get("given", ()) if one]
    text = name.get("text") or " ".join(part for part in (family, *given) if part)
    rest = (family, *given, *name.get("prefix", ()), *name.get("suffix", ()))
    yield from dict.fromkeys(part for part in (text, *rest) if part)


def _of_address(address: dict[str, Any]) -> Iterator[str]:
    parts = (*address.get("line", ()), *(address.get(key) for key in _ADDRESS))
    yield from dict.fromkeys(part for part in parts if part)
