"""Searched values in plain words, to follow the name of their parameter: `is more than 5.4`.

https://hl7.org/fhir/R4/search.html. What is understood is shown, not what was sent: dates as the
span [lo, hi) that they cover, numbers with the span of their precision, texts as they are folded.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from ehr_server.search.parameter import Parameter
from ehr_server.search.types.codes import Codes
from ehr_server.search.types.composite import Together
from ehr_server.search.types.date import When
from ehr_server.search.types.near import Circle
from ehr_server.search.types.number import Amount
from ehr_server.search.types.quantity import UCUM, Measure
from ehr_server.search.types.reference import Target
from ehr_server.search.types.string import Words
from ehr_server.search.types.token import OfType, Text, Token
from ehr_server.search.types.uri import Address
from ehr_server.terminology.units import unit

LISTED_MAX = 10  # codes of a set

_WHEN = {
    "eq": "lies within {}",
    "ne": "does not lie within {}",
    "gt": "ends after {}",
    "lt": "begins before {}",
    "ge": "lies within {}, or ends after it",
    "le": "lies within {}, or begins before it",
    "sa": "begins after {} is over",
    "eb": "ends before {} begins",
    "ap": "shares a moment with {}, which has room on both sides",
    "po": "shares a moment with {}",
    "co": "covers all of {}",
}
_AMOUNT = {
    "eq": "is {value}, so within [{lo}, {hi})",
    "ne": "is not {value}, so outside of [{lo}, {hi})",
    "gt": "is more than {value}",
    "lt": "is less than {value}",
    "ge": "is {value} or more",
    "le": "is {value} or less",
    "sa": "is more than {value}",
    "eb": "is less than {value}",
    "ap": "is about {value}, so within [{lo}, {hi}]",
}
_WORDS = {
    "starts": 'begins with "{}"',
    "contains": 'contains "{}"',
    "equals": 'is "{}"',
    "ends-with": 'ends with "{}"',
}
_FOLDED = ", case and accents aside"
_WITH_SYSTEM = frozenset(("CodeableConcept", "Coding", "Identifier"))
_DIGITS_MAX = 15  # beyond, a number is shown with an exponent


def told_term(term: Any, parameter: Parameter, zone: tzinfo) -> str:
    """What is said of a value of the parameter; times are shown in the zone."""
    match term:
        case When():
            lo, hi = (at.astimezone(zone).isoformat() for at in (term.lo, term.hi))
            return _WHEN[term.prefix].format(f"[{lo}, {hi})")
        case Words():
            return _words(term, parameter)
        case Token():
            return _token(term, parameter)
        case Amount():
            return _amount(term)
        case Measure():
            return f"{_amount(term.amount)}, {_unit(term)}"
        case Target():
            return _target(term)
        case Together():
            parts = zip(parameter.parts, term.terms, strict=True)
            met = (
                f"{part.parameter.code} {told_term(one, part.parameter, zone)}"
                for part, one in parts
            )
            return f"has in the same {' or '.join(parameter.paths)}: {'; and '.join(met)}"
        case _:
            return _further(term)


def _further(term: Any) -> str:
    match term:
        case Text():
            return f'is called something that begins with "{term.start}"{_FOLDED}'
        case OfType():
            return f"is {term.value} and of the type {_coded(term.system, term.code)}"
        case Codes():
            return _codes(term)
        case Address():
            beyond = f", or an address {term.way} it" if term.way else ""
            return f"is {term.text}{beyond}"
        case Circle():
            return f"lies within {term.km:g} km of {term.latitude:g}, {term.longitude:g}"
    if is_dataclass(term):
        values = (f"{one.name} {getattr(term, one.name)}" for one in fields(term))
        return f"meets {type(term).__name__}: {', '.join(values)}"
    return f"meets {term}"


def _words(term: Words, parameter: Parameter) -> str:
    if term.how == "exact":
        return f'is exactly "{term.text}"'
    if term.words:
        listed = _listed([f'"{word}"' for word in term.words], "and")
        return f"has words that begin with {listed}, in any order{_FOLDED}"
    if term.how == "starts" and parameter.is_name:
        return f'begins, or has a word that begins, with "{term.folded}"{_FOLDED}'
    return _WORDS[term.how].format(term.folded) + _FOLDED


def _token(term: Token, parameter: Parameter) -> str:
    if parameter.type == "reference":
        return f"refers to what has the identifier {_coded(term.system, term.code)}"
    if term.code is None:
        return f"has any code of {term.system}" if term.system else "is in another system: no match"
    if term.system is None and not parameter.types & _WITH_SYSTEM:
        return f"is {term.code}"
    return f"is {_coded(term.system, term.code)}"


def _coded(system: str | None, code: str | None) -> str:
    if system is None:
        return f"{code}, of whichever system"
    return f"{code or 'any'} of {system}" if system else f"{code}, without a system"


def _codes(term: Codes) -> str:
    listed = [f"{system}|{code}" for system, code in sorted(term.pairs)]
    if len(listed) > LISTED_MAX:
        return f"is one of {len(listed):,} codes: {', '.join(listed[:LISTED_MAX])} and further"
    return f"is {_listed(listed, 'or')}" if listed else "is in an empty set of codes: no match"


def _target(term: Target) -> str:
    version = f"/_history/{term.version}" if term.version else ""
    if not term.types:
        return f"refers to {term.id}"
    if len(term.types) == 1:
        return f"refers to {term.types[0]}/{term.id}{version}"
    few = _listed(term.types, "or") if len(term.types) <= LISTED_MAX else "whichever type"
    return f"refers to the id {term.id} of {few}"


def _amount(term: Amount) -> str:
    value, lo, hi = map(_number, (term.value, term.lo, term.hi))
    return _AMOUNT[term.prefix].format(value=value, lo=lo, hi=hi)


def _unit(term: Measure) -> str:
    if not term.code:
        return "in any unit"
    if term.system is None:
        return f"in {term.code}, by the unit's code or its name"
    if term.system == UCUM and unit(term.code):
        return f"in {term.code} of UCUM or any unit that can be converted into it"
    return f"in {term.code} of {term.system}"


def _number(value: Decimal) -> str:
    return f"{value:f}" if abs(value.adjusted()) < _DIGITS_MAX else str(value)


def _listed(words: Sequence[str], word: str) -> str:
    *most, last = words
    return f"{', '.join(most)} {word} {last}" if most else last
