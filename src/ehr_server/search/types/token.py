"""Codes, identifiers, yes and no: `code`, `system|code`, `|code`, `system|`.

https://hl7.org/fhir/R4/search.html#token. Compared without regard to case. A coding lies in the
array of hashes as `(system, code)` and `(system,)`, and by its code alone. The main code of a type
keeps the bare code of its first coding in the column `c1` instead, so that the resources of one
code lie together in the order of their main date; further codings have theirs in the array, and
a code that is in `c1` is never there too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ehr_server.hashing import hash64
from ehr_server.search.escapes import split, unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, any_of, overlaps

_FormsOf = Callable[[str, str | None, str | None], tuple[int, tuple[int, ...]]]

_SPACED = str.maketrans("", "", " .()-")
_WITHOUT_SYSTEM = frozenset(("id", "ContactPoint", "uri", "boolean", "string"))


@dataclass(frozen=True, slots=True)
class Token:
    """One searched token. `system` None is any, "" is none; `code` None is any."""

    system: str | None
    code: str | None


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,  # noqa: ARG001
) -> Callable[[Any, Rows], None] | None:
    """Codings by system and code, identifiers by system and value, all else by itself."""
    if type_name == "CodeableConcept":
        return _concept_main(parameter) if parameter.place == "main" else _concept(parameter)
    if type_name == "Coding":
        return _coding(parameter)
    if type_name == "Identifier":
        return _directory(parameter) if parameter.place == "identifier" else _identifier(parameter)
    if type_name == "ContactPoint":
        return _contact(parameter)
    if type_name == "boolean":
        return _boolean(parameter)
    return _plain(parameter) if type_name[0].islower() else None


def parse(text: str, source: Source, rules: Rules) -> Token:  # noqa: ARG001
    """`system|code`, either of which may be missing, or a code alone."""
    parameter = source.parameter
    parts = [unescape(part) for part in split(text, "|")]
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


def where(terms: Sequence[Token], parameter: Parameter) -> Sql:
    """A hash of one of the terms is in the array, or is the main code."""
    in_array = [hash_ for term in terms for hash_ in stored(parameter, term)]
    if parameter.place != "main":
        return overlaps("r.toks", in_array)
    bare = [hash_ for term in terms if term.system is None for hash_ in stored(parameter, term)]
    array = overlaps("r.toks", in_array)
    return any_of((Sql("r.c1 = any(%s::bigint[])", (bare,)), array)) if bare else array


def stored(parameter: Parameter, term: Token) -> tuple[int, ...]:
    """The one hash by which the term is found; none if nothing can match it."""
    if term.code is None:
        return (hash64(parameter.name, term.system or "", ""),) if term.system else ()
    if term.system is None:
        return (hash64(parameter.name, term.code),)
    return (hash64(parameter.name, term.system, term.code),)


def main_code(parameter: Parameter, term: Token) -> int | None:
    """The hash of the term's bare code, which is what `c1` holds; None for a system alone."""
    return None if term.code is None else hash64(parameter.name, term.code)


def is_met(identifiers: Iterable[Any], term: Token) -> bool:
    """Whether one of the Identifiers is what the term says, by its text and not by its hash."""
    return any(
        (term.code is None or term.code == _fold(identifier.get("value") or ""))
        and (term.system is None or term.system == (identifier.get("system") or ""))
        for identifier in identifiers
    )


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
    return _contact_form(text) if "ContactPoint" in parameter.types else _fold(text)


def _fold(text: str) -> str:
    return text.casefold()


def _contact_form(text: str) -> str:
    """Telephone numbers without what only parts their digits; addresses without case."""
    return _fold(text) if "@" in text or ":" in text else _fold(text.translate(_SPACED))


def _forms(name: str, system: str | None, code: str | None) -> tuple[int, tuple[int, ...]]:
    """The hash of the bare code (0: none), and those of the forms with a system."""
    bare = hash64(name, _fold(code)) if code else 0
    full = (hash64(name, system or "", _fold(code)),) if code else ()
    return bare, (*full, hash64(name, system, "")) if system else full


_cached = lru_cache(maxsize=16_384)(_forms)


def _coded(name: str, system: str | None, code: str | None) -> tuple[int, tuple[int, ...]]:
    """As `_forms`, of codes, which repeat as identifiers do not."""
    is_short = len(system or "") + len(code or "") < CACHED_MAX
    return _cached(name, system, code) if is_short else _forms(name, system, code)


def _concept(parameter: Parameter) -> Callable[[Any, Rows], None]:
    take_coding = _coding(parameter)

    def take(value: Any, rows: Rows) -> None:
        for coding in value.get("coding", ()):
            take_coding(coding, rows)

    return take


def _concept_main(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        for coding in value.get("coding", ()):
            bare, forms = _coded(name, coding.get("system"), coding.get("code"))
            rows.toks += forms
            if bare and rows.c1 is None:
                rows.c1 = bare
            elif bare and bare != rows.c1:
                rows.toks.append(bare)

    return take


def _coding(parameter: Parameter) -> Callable[[Any, Rows], None]:
    return _paired(parameter.name, _coded, "code")


def _identifier(parameter: Parameter) -> Callable[[Any, Rows], None]:
    return _paired(parameter.name, _forms, "value")


def _paired(name: str, forms_of: _FormsOf, key: str) -> Callable[[Any, Rows], None]:
    """What has a system and, under `key`, a code in it."""

    def take(value: Any, rows: Rows) -> None:
        bare, forms = forms_of(name, value.get("system"), value.get(key))
        rows.toks += forms
        if bare:
            rows.toks.append(bare)

    return take


def _directory(parameter: Parameter) -> Callable[[Any, Rows], None]:
    """What leads to one person lies in the directory; a system alone would lead to everyone."""
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        system = value.get("system")
        if text := value.get("value"):
            text = _fold(text)
            rows.identifiers += (hash64(name, text), hash64(name, system or "", text))
        if system:
            rows.toks.append(_coded(name, system, None)[1][0])

    return take


def _contact(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        if text := value.get("value"):
            rows.toks.append(hash64(name, _contact_form(text)))

    return take


def _boolean(parameter: Parameter) -> Callable[[Any, Rows], None]:
    hashes = {False: hash64(parameter.name, "false"), True: hash64(parameter.name, "true")}

    def take(value: Any, rows: Rows) -> None:
        rows.toks.append(hashes[value])

    return take


def _plain(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        rows.toks.append(_coded(name, None, value)[0])

    return take
