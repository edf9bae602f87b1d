"""Addresses that identify, compared as they are written.

https://hl7.org/fhir/R4/search.html#uri. A canonical with a version is found with and without it.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ehr_server.hashing import hash64
from ehr_server.search.escapes import unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, overlaps


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,  # noqa: ARG001
) -> Callable[[Any, Rows], None] | None:
    """uri, url, canonical and their like."""
    if not type_name[0].islower():
        return None
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        rows.toks += (_cached if len(value) < CACHED_MAX else _forms)(name, value)

    return take


def parse(text: str, source: Source, rules: Rules) -> str:  # noqa: ARG001
    """The whole address."""
    address = unescape(text)
    if not address:
        raise Malformed("is empty", "bỏ trống")
    return address


def where(terms: Sequence[str], parameter: Parameter) -> Sql:
    """One of the addresses is in the array."""
    return overlaps("r.toks", (hash64(parameter.name, term) for term in terms))


def _forms(name: str, address: str) -> tuple[int, ...]:
    url, bar, _ = address.partition("|")
    return (hash64(name, address), hash64(name, url)) if bar else (hash64(name, address),)


_cached = lru_cache(maxsize=4096)(_forms)
