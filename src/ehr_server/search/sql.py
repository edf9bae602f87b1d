"""SQL as text and parameters, put together without ever writing a value into the text.

The text depends on the shape of a query alone, so that it can be prepared. Every parameter is cast,
because psycopg sends a whole number in the smallest type that holds it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.hashing import Tokens


@dataclass(frozen=True, slots=True)
class Sql:
    """A fragment of SQL with `%s` for each parameter."""

    text: str
    params: tuple[Any, ...] = ()


TRUE = Sql("true")
FALSE = Sql("false")


def all_of(parts: Iterable[Sql]) -> Sql:
    """All of the conditions; of none: true."""
    return _joined(" and ", tuple(parts), TRUE)


def any_of(parts: Iterable[Sql]) -> Sql:
    """Any of the conditions; of none: false."""
    return _joined(" or ", tuple(parts), FALSE)


def negated(condition: Sql) -> Sql:
    """The condition does not hold, which includes that it is unknown."""
    return Sql(f"({condition.text}) is not true", condition.params)


def among(column: str, values: Sequence[int]) -> Sql:
    """The column is one of the numbers; a single one is compared plainly, to keep index order."""
    if len(values) == 1:
        return Sql(f"{column} = %s::bigint", (values[0],))
    return Sql(f"{column} = any(%s::bigint[])", (list(values),))


def overlaps(column: str, values: Iterable[int]) -> Sql:
    """The array column has any of the numbers."""
    return Sql(f"{column} && %s::bigint[]", (sorted(set(values)),))


def has_any(row: str, tokens: Iterable[int]) -> Sql:
    """The row is found by any of the tokens."""
    return Sql(f"{row}.toks && %s::bigint[]", (Tokens(sorted(set(tokens))),))


def checked(condition: Sql) -> Sql:
    """The condition in a form that no index answers, and that nobody takes for selective.

    For where another condition leads to the rows and nearly all of them hold this one too: a look
    at each costs less than a list of all others, and the order of the index is kept.
    """
    return Sql(f"coalesce({condition.text}, false)", condition.params)


def beside(row: str, table: str, parameter: int, condition: Sql) -> Sql:
    """The resource has a side row `x` of the parameter for which the condition holds."""
    return Sql(
        f"exists (select from {table} x where x.comp = {row}.comp and x.key = {row}.key"
        f" and x.param = {parameter} and {condition.text})",
        condition.params,
    )


def _joined(word: str, parts: tuple[Sql, ...], none: Sql) -> Sql:
    if len(parts) < 2:
        return parts[0] if parts else none
    return Sql(
        f"({word.join(part.text for part in parts)})",
        tuple(param for part in parts for param in part.params),
    )
