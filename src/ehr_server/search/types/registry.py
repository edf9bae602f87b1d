"""The types of search parameters: a further one is a further module and a row below."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql
from ehr_server.search.types import date, number, quantity, reference, string, token, uri


class SearchType(Protocol):
    """What a module of this package does for its type of parameter."""

    def extract(
        self, type_name: str, parameter: Parameter, rules: Rules
    ) -> Callable[[Any, Rows], None] | None:
        """What adds a value of the FHIR type to the index; None if the type is not searched."""

    def parse(self, text: str, source: Source, rules: Rules) -> Any:
        """One value of a query, still escaped, as a term. Raises `Malformed`."""

    def where(self, terms: Sequence[Any], parameter: Parameter) -> Sql:
        """The condition on the narrow row `r` that one of the terms is met."""


SEARCH_TYPES: Mapping[str, SearchType] = {
    "token": token,
    "string": string,
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "uri": uri,
}
