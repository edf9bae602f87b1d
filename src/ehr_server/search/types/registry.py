"""The types of search parameters: a further one is a further module and a row below."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Protocol, cast

from ehr_server.search.facts import Facts, Lookup
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql
from ehr_server.search.types import (
    composite,
    date,
    fulltext,
    near,
    number,
    quantity,
    reference,
    string,
    token,
    uri,
)


class SearchType(Protocol):
    """What a module of this package does for its type of parameter.

    It may also have `MODIFIERS`, those that a client may write, and `lookups` (see below).
    """

    def extract(
        self, type_name: str, parameter: Parameter, rules: Rules
    ) -> Callable[[Any, Rows], None] | None:
        """What adds a value of the FHIR type to the index; None if the type is not searched."""

    def parse(self, text: str, source: Source, rules: Rules, modifier: str = "") -> Any:
        """One value of a query, still escaped, as a term. Raises `Malformed`."""

    def where(self, terms: Sequence[Any], parameter: Parameter, row: str, facts: Facts) -> Sql:
        """The condition, on the narrow row of that name, that one of the terms is met."""

    def matches(
        self, term: Any, type_name: str, value: Any, parameter: Parameter, rules: Rules
    ) -> bool:
        """Whether a value of the FHIR type meets the term."""


SEARCH_TYPES: Mapping[str, SearchType] = {
    "token": token,
    "string": string,
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "uri": uri,
    "composite": cast(SearchType, composite),  # but `parse`: see `composite.together`
    "special": near,
    "fulltext": fulltext,
}


# Of elements of these types, what the parameter types of the standard read; those of other types
# (CodeableConcept, Period, ...) each module knows itself.
_ADDRESSES = frozenset(("uri", "url", "canonical", "oid", "uuid"))
_TEXTS = frozenset(("string", "markdown", "code", "id")) | _ADDRESSES
_PRIMITIVES: Mapping[str, frozenset[str]] = {
    "token": _TEXTS | {"boolean"},
    "string": _TEXTS,
    "date": frozenset(("date", "dateTime", "instant")),
    "number": frozenset(("integer", "positiveInt", "unsignedInt", "decimal")),
    "quantity": frozenset(),
    "reference": _ADDRESSES,
    "uri": _ADDRESSES,
}


def fits(type_name: str, parameter: Parameter) -> bool:
    """Whether there is anything in a value of the FHIR type that the parameter can be searched
    for. It is asked of parameters that are not the standard's, which may lead anywhere."""
    if type_name[:1].islower() and type_name not in _PRIMITIVES.get(parameter.type, ()):
        return False
    rules = Rules(UTC)
    return SEARCH_TYPES[parameter.type].extract(type_name, parameter, rules) is not None


def lookups(type_name: str, terms: Sequence[Any], parameter: Parameter) -> Iterable[Lookup]:
    """What a type must ask of the directories before it can say where."""
    asked = getattr(SEARCH_TYPES[type_name], "lookups", None)
    return asked(terms, parameter) if asked else ()


def takes(type_name: str, modifier: str) -> bool:
    """Whether parameters of the type have the modifier."""
    if type_name == "reference":
        return reference.is_modifier(modifier)
    return modifier in getattr(SEARCH_TYPES[type_name], "MODIFIERS", ())
