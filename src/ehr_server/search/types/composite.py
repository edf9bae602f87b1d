"""What stands beside one another in one place of several, such as a component's code and value.

https://hl7.org/fhir/R4/search.html#combining. Codes and references lie in the array as a hash of
both; a quantity's side row names the code that it stands beside, so it costs no row of its own;
a number's names the number beside it. Where there is one such place (the code and the value of an
Observation), `search.criteria` asks for each by itself, and nothing is indexed here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.flow import Branch, many
from ehr_server.hashing import hash64
from ehr_server.search.facts import UNITS, Facts, Lookup
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Part
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of, beside, has_any
from ehr_server.search.types import coded, number, quantity, reference, token

_WORD = 1 << 64
_CACHED_MAX = 100  # hashes of one place that a cache keeps: a thousand codings must not stay


@dataclass(frozen=True, slots=True)
class Together:
    """Terms that must be met in one place, in the order of the composite's parts."""

    terms: tuple[Any, ...]


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """What adds one place, the value of the composite's path, to the index."""
    first, last = parameter.parts
    kinds = (first.parameter.type, last.parameter.type)
    if kinds == ("token", "quantity"):
        return _quantities(type_name, first, last)
    if kinds == ("number", "number"):
        return _numbers(type_name, parameter, first, last)
    return _pairs(type_name, parameter, first, last, rules)


def together(terms: Sequence[Any], parameter: Parameter) -> Together:
    """The terms of one searched value. Raises `Malformed` where they cannot be looked for so."""
    kinds = [part.parameter.type for part in parameter.parts]
    if kinds == ["number", "number"] and terms[1].prefix == "ap":
        raise Malformed("has ap before its last number", "có ap trước số cuối", is_unsupported=True)
    if any(isinstance(term, token.Text | token.OfType) for term in terms):
        raise Malformed("takes no such modifier", "không nhận bổ ngữ này")
    return Together(tuple(terms))


def lookups(terms: Sequence[Together], parameter: Parameter) -> Iterator[Lookup]:
    """The units that a quantity may have been stored in."""
    last = parameter.parts[-1].parameter
    if last.type == "quantity":
        yield from quantity.lookups([term.terms[-1] for term in terms], last)


def where(terms: Sequence[Together], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """One place meets all terms of one of the values."""
    first, last = (part.parameter for part in parameter.parts)
    if last.type == "quantity":
        units = [code for (code,) in facts.get(UNITS, ())]
        met = any_of(
            all_of((_beside(code), quantity.side_condition((measure,), units)))
            for code, measure in (term.terms for term in terms)
        )
        return beside(row, "quantity", last.number, met)
    if first.type == "number":
        met = any_of(
            all_of((number.compared(start, "x.value"), number.compared(end, "x.beside")))
            for start, end in (term.terms for term in terms)
        )
        return beside(row, "quantity", parameter.number, met)
    hashes = [
        _both(parameter, one, other)
        for term in terms
        for one in _hashes(term.terms[0], first)
        for other in _hashes(term.terms[1], last)
    ]
    return has_any(row, hashes)


def matches(term: Together, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether the place, a value of the composite's path, meets all of the terms."""
    return all(
        any(
            _met(one, branch.type, found, part.parameter, rules)
            for branch in _branches(part.expression, type_name)
            for found in many(branch)(value, value)
        )
        for one, part in zip(term.terms, parameter.parts, strict=True)
    )


@cache
def _branches(expression: str, type_name: str) -> tuple[Branch, ...]:
    return compile_flow(expression, type_name, definitions()).branches


def _met(term: Any, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    types = {"token": token, "reference": reference, "quantity": quantity, "number": number}
    return bool(types[parameter.type].matches(term, type_name, value, parameter, rules))


def _values(type_name: str, part: Part) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    """The values of a part at a place, each with its FHIR type."""
    parts = [(branch.type, many(branch)) for branch in _branches(part.expression, type_name)]

    def values(place: Any) -> Iterator[tuple[str, Any]]:
        for found, run in parts:
            for value in run(place, place):
                yield found, value

    return values


def _quantities(type_name: str, first: Part, last: Part) -> Callable[[Any, Rows], None]:
    """Rows of the quantity's own parameter, each beside a coding; beside none if there is none."""
    codes, values = _values(type_name, first), _values(type_name, last)
    own, bit = last.parameter.number, last.parameter.bit
    noted = 0 if bit is None else 1 << bit

    def take(place: Any, rows: Rows) -> None:
        measures = [one for kind, value in values(place) for one in quantity.measured(kind, value)]
        if not measures:
            return
        rows.has |= noted
        codings = list(
            dict.fromkeys(
                (_code_hash(code), _system_hash(system))
                for kind, value in codes(place)
                for system, code in coded.pairs(kind, value, first.parameter)
            )
        )
        for measure in measures:
            for value, unit in quantity.side_rows(measure, rows):
                for code, system in codings or ((0, 0),):
                    rows.quantities.append((own, value, unit, code, system))

    return take


def _numbers(
    type_name: str, parameter: Parameter, first: Part, last: Part
) -> Callable[[Any, Rows], None]:
    starts, ends = _values(type_name, first), _values(type_name, last)
    own = parameter.number

    def take(place: Any, rows: Rows) -> None:
        for _, start in starts(place):
            for _, end in ends(place):
                rows.quantities.append((own, number.as_float(start), 0, int(end), 0))

    return take


def _pairs(
    type_name: str, parameter: Parameter, first: Part, last: Part, rules: Rules
) -> Callable[[Any, Rows], None]:
    ones, others = (_forms(type_name, part, rules) for part in (first, last))
    own = _own(parameter)

    def take(place: Any, rows: Rows) -> None:
        firsts = ones(place)
        lasts = others(place) if firsts else ()
        if lasts:
            mixed = _mixes if len(firsts) * len(lasts) < _CACHED_MAX else _all_mixed
            rows.toks += mixed(own, firsts, lasts)

    return take


def _all_mixed(own: int, firsts: tuple[int, ...], lasts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_mixed(own, one, other) for one in firsts for other in lasts))


_mixes = lru_cache(maxsize=4_096)(_all_mixed)  # what is coded repeats: of a test, few results


def _forms(type_name: str, part: Part, rules: Rules) -> Callable[[Any], tuple[int, ...]]:
    """All hashes by which the values of a part at a place are found by themselves."""
    of = part.parameter
    extract_of = (token if of.type == "token" else reference).extract
    readers = [
        (many(branch), take)
        for branch in _branches(part.expression, type_name)
        if (take := extract_of(branch.type, of, rules)) is not None
    ]

    def forms(place: Any) -> tuple[int, ...]:
        rows = Rows()
        for run, take in readers:
            for value in run(place, place):
                take(value, rows)
        return (*rows.toks, *rows.refs)

    return forms


def _hashes(term: Any, of: Parameter) -> Sequence[int]:
    return token.stored(of, term) if of.type == "token" else reference.stored(of, term)


def _both(parameter: Parameter, one: int, other: int) -> int:
    """A hash of both, in their order and of this composite."""
    return _mixed(_own(parameter), one, other)


def _own(parameter: Parameter) -> int:
    return hash64(parameter.name)


def _mixed(own: int, one: int, other: int) -> int:
    turned = (one << 1 | (one % _WORD) >> 63) % _WORD
    mixed = (turned ^ other ^ own) % _WORD
    return mixed - _WORD if mixed >> 63 else mixed


def _beside(term: Any) -> Sql:
    """The row stands beside a coding that the term says."""
    is_one = isinstance(term, token.Token)
    pairs = [(term.system, term.code)] if is_one else sorted(term.pairs)
    parts = []
    for system, code in pairs:
        asked = [] if code is None else [Sql("x.beside = %s::bigint", (_code_hash(code),))]
        if system is not None:
            asked.append(Sql("x.beside_system = %s::bigint", (_system_hash(system),)))
        parts.append(all_of(asked))
    return any_of(parts)


def _code_hash(code: str) -> int:
    return hash64("beside", code)


def _system_hash(system: str) -> int:
    return hash64("beside", "system", system) if system else 0
