"""What an operator of `_filter` means, in terms of an ordinary search for the parameter.

https://hl7.org/fhir/R4/search_filter.html#ops. `birthdate ge 2014` is `birthdate=ge2014`,
`code ss loinc|1` is `code:below=http://loinc.org|1`. Where an ordinary search has no words for it,
the modifier or prefix is one of `INTERNAL`, which no client may write in an address.
"""

from collections.abc import Mapping
from typing import NamedTuple, get_args

from ehr_server.search.malformed import Malformed, unsupported
from ehr_server.search.prefixes import Prefix

# Modifiers: the whole text and the end of one, both compared as a plain search compares. Prefixes:
# the dates share a moment, without the room of `ap`; the date of the resource spans the searched.
INTERNAL = frozenset(("equals", "ends-with", "po", "co"))


class Ordinary(NamedTuple):
    """`name:modifier=prefix` and the value; negated: all resources that this does not find."""

    modifier: str = ""
    prefix: str = ""
    is_negated: bool = False


_COMPARED: Mapping[str, Ordinary] = {name: Ordinary(prefix=name) for name in get_args(Prefix)}

# By the type of the parameter. `ne` is what `eq` does not find, save for what has prefixes: there
# one unequal value is enough, as in an ordinary search. `pr` is for every type, see `ordinary`.
ORDINARY: Mapping[str, Mapping[str, Ordinary]] = {
    "string": {
        # :exact would heed case, which the standard says no value of a filter does
        "eq": Ordinary("equals"),
        "ne": Ordinary("equals", is_negated=True),
        "co": Ordinary("contains"),
        "sw": Ordinary(),
        "ew": Ordinary("ends-with"),
    },
    "token": {
        "eq": Ordinary(),
        "ne": Ordinary("not"),
        "ss": Ordinary("below"),  # the value subsumes what is recorded
        "sb": Ordinary("above"),  # what is recorded subsumes the value
        "in": Ordinary("in"),
        "ni": Ordinary("not-in"),
    },
    "date": {**_COMPARED, "po": Ordinary(prefix="po"), "co": Ordinary(prefix="co")},
    "number": _COMPARED,
    "quantity": _COMPARED,
    # The standard has `re` alone, but to whom a reference is `eq` can mean nothing else.
    "reference": {"re": Ordinary(), "eq": Ordinary()},
    # The standard's table leaves this type out; more than the same or not is no operator's sense.
    "uri": {"eq": Ordinary(), "ne": Ordinary(is_negated=True)},
}
_PRESENT = Ordinary("missing", is_negated=True)

# What the standard defines and the index has nothing for: texts in order, the precision of a
# number as it was recorded.
_LATER = frozenset(
    (("gt", "string"), ("lt", "string"), ("ge", "string"), ("le", "string"), ("co", "number"))
)

# "The codes loinc, snomed, rxnorm and ucum are predefined".
_SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
_SYSTEM_AT = {"token": 0, "quantity": 1}  # system|code, number|system|code
_ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in ",|$\\"})


def ordinary(operator: str, parameter_type: str) -> Ordinary:
    """The ordinary search that says the same of a parameter of that type.

    `x pr true` is what `x:missing=true` does not find, and with `false` likewise. Raises
    `Malformed`, not to follow the name of the parameter but that of `_filter`.
    """
    of_type = ORDINARY.get(parameter_type, {})
    if operator == "pr" and of_type:
        return _PRESENT
    if operator in of_type:
        return of_type[operator]
    if (operator, parameter_type) in _LATER:
        raise unsupported(f"compares a {parameter_type} by {operator}")
    raise Malformed(
        f"has the operator {operator} for a parameter of the type {parameter_type}, "
        "where it means nothing",
        f"có toán tử {operator} cho tham số kiểu {parameter_type}, không có ý nghĩa",
    )


def ordinary_value(value: str, parameter_type: str) -> str:
    """A value of a filter as an ordinary search writes it.

    Tokens and quantities are written alike in both, but here four systems have short names. In
    any other value `,` `|` `$` and the backslash stand for themselves, and so are escaped.
    """
    if parameter_type not in _SYSTEM_AT:
        return value.translate(_ESCAPED)
    parts = value.split("|")
    at = _SYSTEM_AT[parameter_type]
    if len(parts) > at + 1:
        parts[at] = _SYSTEMS.get(parts[at].lower(), parts[at])
    return "|".join(parts)
