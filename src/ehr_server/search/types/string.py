"""Names, addresses and other words: what starts with the value, tones and accents aside.

https://hl7.org/fhir/R4/search.html#string. A name is found by each of its parts, by its text and,
where it has none, by its parts in Vietnamese order, the family name first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.identity.folding import fold
from ehr_server.search.escapes import unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import STRING_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, any_of, beside

_ADDRESS = ("text", "city", "district", "state", "postalCode", "country")
_LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Words:
    """The beginning of a text, folded (`identity.folding`)."""

    start: str


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,  # noqa: ARG001
) -> Callable[[Any, Rows], None] | None:
    """Texts, and the parts of names and addresses."""
    if type_name == "HumanName":
        return _parts(parameter.number, _of_name)
    if type_name == "Address":
        return _parts(parameter.number, _of_address)
    return _text(parameter.number) if type_name[0].islower() else None


def parse(text: str, source: Source, rules: Rules) -> Words:  # noqa: ARG001
    """A text of at least one character that counts."""
    start = fold(unescape(text))[:STRING_MAX]
    if not start:
        raise Malformed("has nothing to search for", "không có nội dung để tìm")
    return Words(start)


def where(terms: Sequence[Words], parameter: Parameter) -> Sql:
    """A side row begins with one of the terms."""
    return beside("string", parameter.number, any_of(_begins(term.start) for term in terms))


def _begins(start: str) -> Sql:
    """As a range of the index, which `like` with a parameter would not be."""
    end = _successor(start)
    if end is None:
        return Sql("x.value >= %s", (start,))
    return Sql("(x.value >= %s and x.value < %s)", (start, end))


def _successor(start: str) -> str | None:
    """The first text after all that begin with `start`, by code points; None: there is none."""
    for at in range(len(start) - 1, -1, -1):
        point = ord(start[at])
        if point < _LAST:
            point = 0xE000 if point == 0xD7FF else point + 1  # no surrogates
            return start[:at] + chr(point)
    return None


def _text(number: int) -> Callable[[Any, Rows], None]:
    def take(value: Any, rows: Rows) -> None:
        rows.strings.append((number, fold(value)[:STRING_MAX]))

    return take


def _parts(
    number: int, parts_of: Callable[[Any], Iterable[str | None]]
) -> Callable[[Any, Rows], None]:
    def take(value: Any, rows: Rows) -> None:
        for part in parts_of(value):
            if part:
                rows.strings.append((number, fold(part)[:STRING_MAX]))

    return take


def _of_name(name: dict[str, Any]) -> list[str | None]:
    family, given = name.get("family"), name.get("given", [])
    text = name.get("text") or " ".join(part for part in (family, *given) if part)
    return [text, family, *given, *name.get("prefix", ()), *name.get("suffix", ())]


def _of_address(address: dict[str, Any]) -> list[str | None]:
    return [*address.get("line", ()), *(address.get(key) for key in _ADDRESS)]
