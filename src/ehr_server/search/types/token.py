"""Codes, identifiers, yes and no: `code`, `system|code`, `|code`, `system|`.

https://hl7.org/fhir/R4/search.html#token. Compared without regard to case. A coding lies in the
array of hashes as `(system, code)` and `(system,)`, and by its code alone. The main code of a type
keeps the bare code of its first coding in the column `c1` instead, so that the resources of one
code lie together in the order of their main date; further codings have theirs in the array, and
a code that is in `c1` is never there too. The texts of codes, for `:text`, lie in the array as
well, and once each in a directory, where their beginnings are looked up.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.hashing import Tokens, hash64
from ehr_server.identity import forms
from ehr_server.identity.folding import fold
from ehr_server.identity.kinds import PERSONAL, kind_named, kind_of
from ehr_server.identity.likely import likely_digit
from ehr_server.search.escapes import split, unescape
from ehr_server.search.facts import Facts, Lookup, limited
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import STRING_MAX
from ehr_server.search.rules import Rules
from ehr_server.search.sql import FALSE, Sql, all_of, among, any_of, has_any
from ehr_server.search.types import coded, codes
from ehr_server.search.types.coded import OF_TYPE, TEXT, contact_form, folded, pairs, texts_of
from ehr_server.search.types.string import begins

MODIFIERS = frozenset(("not", "text", "in", "not-in", "above", "below", "of-type"))

_WITHOUT_SYSTEM = frozenset(("id", "ContactPoint", "uri", "boolean", "string"))
_ZEROS_AS_LETTERS = re.compile("(?=.*[0-9]{6})[0-9Oo]{12}")
_PEOPLE = frozenset(("Patient", "Person", "Practitioner", "RelatedPerson"))


@dataclass(frozen=True, slots=True)
class Token:
    """One searched token. `system` None is any, "" is none; `code` None is any."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Text:
    """The beginning, folded, of what a code is called: its display or the text of its concept."""

    start: str


@dataclass(frozen=True, slots=True)
class OfType:
    """An identifier's value, and a coding of its type."""

    system: str
    code: str
    value: str


extract = coded.extract

Term: TypeAlias = Token | Text | OfType | codes.Codes


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Term:
    """`system|code`, either of which may be missing, or a code alone; what the modifier takes."""
    parameter = source.parameter
    if modifier in ("in", "above", "below") and parameter.types <= _WITHOUT_SYSTEM:
        raise Malformed(
            f"has the modifier :{modifier}, but its values are of no code system",
            f"có bổ ngữ :{modifier}, nhưng giá trị không thuộc hệ mã nào",
        )
    match modifier:
        case "text":
            return _text(text)
        case "of-type":
            return _of_type(text, parameter)
        case "in":
            return codes.members(unescape(text), rules)
        case "above" | "below":
            parts = [unescape(part) for part in split(text, "|")]
            if len(parts) > 2:
                raise Malformed("has more than one |: write system|code", "có nhiều hơn một dấu |")
            system = parts[0] if len(parts) == 2 else None
            return codes.related(modifier, system, parts[-1] or None, parameter.system, rules)
    return _token(text, parameter)


def lookups(terms: Sequence[Term], parameter: Parameter) -> Iterator[Lookup]:
    """Where ids and patients' identifiers lie, rows of (comp, key); how texts go on that begin
    so, rows of one text."""
    if parameter.place == "id":
        ids = [term.code for term in terms if isinstance(term, Token)]
        yield Lookup(
            (parameter, terms),
            Sql(
                f"select comp, key from rid where type = {_type_number(parameter)} and live"
                " and id = any(%s::text[])",
                (ids,),
            ),
        )
    elif parameter.place == "identifier" and (hashes := _directory_hashes(terms, parameter)):
        yield Lookup(
            (parameter, terms),
            limited("select comp, key from ident where h = any(%s::bigint[])", (Tokens(hashes),)),
        )
    for term in terms:
        if isinstance(term, Text):
            start = begins("value", term.start)
            yield Lookup(
                (parameter, term),
                limited(
                    f"select value from display where param = {parameter.number} and {start.text}",
                    start.params,
                ),
            )


def where(terms: Sequence[Term], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """A hash of one of the terms is in the array, or is the main code; or the row is where the
    directory said."""
    found = facts.get((parameter, terms))
    parts = [] if found is None else [among_places(found, row)]
    if parameter.place == "id":
        return any_of(parts)
    if parameter.place == "identifier":
        terms = [term for term in terms if not isinstance(term, Token) or term.code is None]
    in_array = [
        hash_ for term in terms for hash_ in _hashes(term, parameter, facts.get((parameter, term)))
    ]
    if in_array:
        parts.append(has_any(row, in_array))
    if parameter.place == "main" and (bare := _bare(terms, parameter)):
        parts.append(Sql(f"{row}.c1 = any(%s::bigint[])", (bare,)))
    return any_of(parts)


def matches(term: Term, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether a value of the FHIR type is what the term says."""
    return _is_met(term, type_name, value, parameter)


def _is_met(term: Term, type_name: str, value: Any, parameter: Parameter) -> bool:
    if isinstance(term, Text):
        texts = [fold(text)[:STRING_MAX] for text in texts_of(type_name, value)]
        return any(text.startswith(term.start) for text in texts)
    if isinstance(term, OfType):
        return type_name == "Identifier" and _is_of_type(value, term, parameter)
    if type_name == "Identifier" and isinstance(term, Token):
        return _is_identifier(value, term, parameter)
    found = list(pairs(type_name, value, parameter))
    if isinstance(term, codes.Codes):
        if type_name[0].islower():
            return any(term.has_plain(code, parameter) for _, code in found)
        return any(term.has(system, code) for system, code in found)
    if term.code is None and not term.system:
        return False
    if type_name[0].islower() and term.system is not None:
        return False  # `|code` is for codings without a system; a boolean is none
    return any(
        (term.code is None or term.code == code) and (term.system is None or term.system == system)
        for system, code in found
    )


def among_places(places: Sequence[tuple[Any, ...]], row: str) -> Sql:
    """The row is at one of the places (comp, key)."""
    if not places:
        return FALSE
    return all_of(
        (
            among(f"{row}.comp", sorted({place[0] for place in places})),
            among(f"{row}.key", sorted({place[1] for place in places})),
        )
    )


def stored(parameter: Parameter, term: Term) -> tuple[int, ...]:
    """The hashes by which the term is found; none if nothing can match it."""
    return tuple(_hashes(term, parameter, None))


def main_code(parameter: Parameter, term: Token) -> int | None:
    """The hash of the term's bare code, which is what `c1` holds; None for a system alone."""
    return None if term.code is None else hash64(parameter.name, term.code)


def is_met(identifiers: Iterable[Any], term: Term, parameter: Parameter) -> bool:
    """Whether one of the Identifiers is what the term says, by its text and not by its hash."""
    return any(_is_met(term, "Identifier", one, parameter) for one in identifiers)


def keys_sought(terms: Sequence[Term], parameter: Parameter) -> frozenset[forms.Key] | None:
    """The keys of which an Identifier that one of the terms means has one; None where a term asks
    for something else than a value."""
    if not leads_by_place(terms):
        return None
    return frozenset(
        key
        for term in terms
        if isinstance(term, Token) and term.code is not None
        for key in _sought(term.system, term.code, parameter)
    )


def keys_held(identifiers: Iterable[Any]) -> frozenset[forms.Key]:
    """All keys that the Identifiers are found by."""
    return frozenset(
        key
        for one in identifiers
        if one.get("value")
        for key in forms.keys(one.get("system"), one["value"])
    )


def leads_by_place(terms: Sequence[Term]) -> bool:
    """Whether the directory names all that can be found: a system alone would lead to everyone."""
    return all(isinstance(term, Token) and term.code is not None for term in terms)


def _hashes(term: Term, parameter: Parameter, texts: Sequence[Any] | None) -> list[int]:
    """Those in the array; of a text, `texts` are what the directory says it may go on as."""
    name = parameter.name
    match term:
        case Text():
            return [hash64(name, TEXT, text) for (text,) in texts or ()]
        case OfType():
            return [
                hash64(name, OF_TYPE, term.system, term.code, *key)
                for key in _sought(None, term.value, parameter)
            ]
        case codes.Codes():
            return [
                hash64(name, code) if system is None else hash64(name, system, code)
                for system, code in term.stored_as(parameter)
            ]
    if term.code is None:
        return [hash64(name, _stored_system(term.system, parameter), "")] if term.system else []
    found: list[forms.Key] = [(term.code,) if term.system is None else (term.system, term.code)]
    if "Identifier" in parameter.types:
        found += _sought(term.system, term.code, parameter)
    return [hash64(name, *key) for key in dict.fromkeys(found)]


def _bare(terms: Sequence[Term], parameter: Parameter) -> list[int]:
    return [
        hash64(parameter.name, term.code)
        for term in terms
        if isinstance(term, Token) and term.system is None and term.code is not None
    ]


def _sought(system: str | None, code: str, parameter: Parameter) -> tuple[forms.Key, ...]:
    return forms.sought(system, code, of_person=parameter.base in _PEOPLE)


def _stored_system(system: str, parameter: Parameter) -> str:
    return forms.same_systems(system) if "Identifier" in parameter.types else system


def _is_identifier(identifier: dict[str, Any], term: Token, parameter: Parameter) -> bool:
    system, value = identifier.get("system"), identifier.get("value")
    if term.code is None:
        return bool(term.system and system) and (
            forms.same_systems(system or "") == forms.same_systems(term.system or "")
        )
    if not value:
        return False
    wanted = _sought(term.system, term.code, parameter)
    return not set(wanted).isdisjoint(forms.keys(system, value))


def _directory_hashes(terms: Sequence[Term], parameter: Parameter) -> list[int]:
    return [
        hash_
        for term in terms
        if isinstance(term, Token) and term.code is not None
        for hash_ in stored(parameter, term)
    ]


def _type_number(parameter: Parameter) -> int:
    return definitions().type_number[parameter.base]


def _text(text: str) -> Text:
    start = fold(unescape(text))[:STRING_MAX]
    if not start:
        raise Malformed("has nothing to search for", "không có nội dung để tìm")
    return Text(start)


def _of_type(text: str, parameter: Parameter) -> OfType:
    """https://hl7.org/fhir/R4/search.html#token: all three parts must be there."""
    if parameter.types != {"Identifier"}:
        raise Malformed(
            "has the modifier :of-type, which is for identifiers alone",
            "có bổ ngữ :of-type, chỉ dùng cho định danh",
        )
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise Malformed(
            "must be system|code|value of the identifier's type and the identifier",
            "phải là hệ|mã|giá trị: loại định danh và giá trị",
        )
    return OfType(parts[0], folded(parts[1]), folded(parts[2]))


def _is_of_type(identifier: dict[str, Any], term: OfType, parameter: Parameter) -> bool:
    """Of that type, and with a value that is found in whatever naming system it stands."""
    return _is_identifier(identifier, Token(None, term.value), parameter) and any(
        (coding.get("system"), folded(coding.get("code") or "")) == (term.system, term.code)
        for coding in identifier.get("type", {}).get("coding", ())
    )


def _token(text: str, parameter: Parameter) -> Token:
    parts = [unescape(part) for part in split(text, "|")]
    if "Identifier" in parameter.types:
        _refuse_letters(parts)
    if len(parts) == 1:
        return Token(None, _code(parts[0], parameter))
    if len(parts) > 2:
        raise Malformed("has more than one |: write system|code", "có nhiều hơn một dấu |")
    if parameter.types <= _WITHOUT_SYSTEM:
        raise Malformed(
            "takes no system: write the value alone", "không dùng hệ mã: chỉ ghi giá trị"
        )
    system, code = parts
    if not system and not code:
        raise Malformed("has neither a system nor a code", "không có hệ mã lẫn mã")
    if parameter.types == {"code"}:
        return _implied(system, code, parameter)
    return Token(system, _code(code, parameter) if code else None)


def _implied(system: str, code: str, parameter: Parameter) -> Token:
    """A `code` has the system of its binding: that one matches any value, another one none."""
    if parameter.system is None:
        raise Malformed(
            "holds codes whose system the standard leaves open: write the code alone",
            "chứa mã không kèm hệ mã: chỉ ghi mã",
        )
    if system != parameter.system:
        return Token("", None)
    if not code:
        raise Malformed("has a system but no code", "có hệ mã nhưng không có mã")
    return Token(None, _code(code, parameter))


def _code(text: str, parameter: Parameter) -> str:
    if not text:
        raise Malformed("is empty", "bỏ trống")
    if parameter.place == "id":
        return text
    if parameter.types == {"boolean"} and text not in ("true", "false"):
        raise Malformed("is neither true nor false", "phải là true hoặc false")
    found = contact_form(text) if "ContactPoint" in parameter.types else folded(text)
    if not found:
        raise Malformed("has nothing to search for", "không có nội dung để tìm")
    return found


def _refuse_letters(parts: Sequence[str]) -> None:
    """Who typed a letter for a digit would find nobody, and wonder. A bare value may be of any
    list, so that there only the letter O among the digits of a personal number is told."""
    value = parts[-1]
    kind = kind_of(parts[0]) if len(parts) > 1 else None
    if len(parts) == 1 and _ZEROS_AS_LETTERS.fullmatch(value):
        kind = kind_named(PERSONAL)
    likely = likely_digit(kind, value) if kind and not kind.has_shape(kind.normal(value)) else None
    if kind is None or likely is None:
        return
    place, letter, digit = likely
    raise Malformed(
        f"has the letter {letter} as character {place} of the {kind.en}, where a digit belongs: "
        f"probably {digit}",
        f"có chữ {letter} ở vị trí {place} của {kind.vi}, nơi phải là chữ số: có lẽ là {digit}",
    )
