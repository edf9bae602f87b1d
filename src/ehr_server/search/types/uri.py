"""Addresses that identify, compared as they are written.

https://hl7.org/fhir/R4/search.html#uri. A canonical with a version is found with and without it.
An address lies in the array of hashes; for `:below`, so do the addresses above it, each a part of
its path shorter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ehr_server.hashing import hash64
from ehr_server.search.escapes import unescape
from ehr_server.search.facts import Facts
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, has_any

MODIFIERS = frozenset(("above", "below"))

_BELOW = ":below"
_PARTS_MAX = 50  # of a path; what comes after counts as one


@dataclass(frozen=True, slots=True)
class Address:
    """An address, or by `way` all that are above or below it, itself included."""

    text: str
    way: str = ""


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,
) -> Callable[[Any, Rows], None] | None:
    """uri, url, canonical and their like."""
    if not type_name[0].islower():
        return None
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        rows.toks += (_cached if len(value) < CACHED_MAX else _forms)(name, value)

    return take


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Address:
    """The whole address."""
    address = unescape(text)
    if not address:
        raise Malformed("is empty", "bỏ trống")
    if modifier and ":" not in address:
        raise Malformed(
            f"has the modifier :{modifier}, which takes a whole address",
            f"có bổ ngữ :{modifier}, cần địa chỉ đầy đủ",
        )
    return Address(address, modifier)


def where(terms: Sequence[Address], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """One of the addresses is in the array."""
    return has_any(row, (hash_ for term in terms for hash_ in _hashes(parameter.name, term)))


def matches(term: Address, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether a value of the FHIR type is the address, or above or below it."""
    if not type_name[0].islower():
        return False
    url = value.partition("|")[0]
    own = {value, url}
    if term.way == "below":
        return term.text.rstrip("/") in _upwards(url)
    if term.way == "above":
        return any(one.rstrip("/") in _upwards(term.text) for one in own)
    return term.text in own


def _hashes(name: str, term: Address) -> Iterator[int]:
    if term.way == "below":
        yield hash64(name, _BELOW, term.text.rstrip("/"))
    elif term.way == "above":
        for above in _upwards(term.text):
            yield hash64(name, above)
            yield hash64(name, above + "/")
    else:
        yield hash64(name, term.text)


def _upwards(address: str) -> list[str]:
    """The address, and those of which it is a part by the segments of its path.

    `http://a/b/c`, `http://a/b`, `http://a`; `urn:oid:1.2.3` has no path, so itself alone.
    """
    address = address.rstrip("/")
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        return [address]
    parts = rest.split("/", _PARTS_MAX)
    return [f"{scheme}://{'/'.join(parts[:to])}" for to in range(len(parts), 0, -1)]


def _forms(name: str, address: str) -> tuple[int, ...]:
    url, bar, _ = address.partition("|")
    own = (hash64(name, address), hash64(name, url)) if bar else (hash64(name, address),)
    return (*own, *(hash64(name, _BELOW, one) for one in _upwards(url)))


_cached = lru_cache(maxsize=4096)(_forms)
