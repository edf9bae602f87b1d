"""The token of a link to another page: where that begins, sealed.

https://hl7.org/fhir/R4/http.html#paging. What a page is sorted by may be a name or a date of
birth, and links end up in logs: so a token is encrypted, and good for the same search alone.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ehr_server import sealing
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.search.query import Query

_KINDS: dict[type, str] = {datetime: "d", float: "f", str: "t", int: "i"}
_READ: dict[str, Callable[[str], Any]] = {
    "d": datetime.fromisoformat,
    "f": float,
    "t": str,
    "i": int,
}


@dataclass(frozen=True, slots=True)
class Keyset:
    """The row beside which a page begins: what it is sorted by, its key, in which stage of the
    order it is; whether the page goes back from there; the total told on page one, and whether
    there are many (`search.plan`)."""

    values: tuple[Any, ...]
    key: int
    total: int | None
    stage: int = 0
    is_back: bool = False
    is_many: bool = False


def seal(keyset: Keyset, query: Query, key: bytes) -> str:
    """The token of the page beside the row; `key` are 32 bytes that nobody knows."""
    kinds = "".join(_KINDS[type(value)] for value in keyset.values)
    values = [str(value) for value in keyset.values]  # JSON has no infinity
    place = [keyset.stage, keyset.is_back, keyset.is_many]
    content = json.write([kinds, values, keyset.key, keyset.total, place])
    return sealing.seal(content, _search(query), key)


def unseal(token: str, query: Query, key: bytes) -> Keyset:
    """The row of a token. Raises `Invalid` for one that is not of this server and search."""
    try:
        content = sealing.unseal(token, _search(query), key)
    except ValueError:
        raise Invalid(
            "_page is not a page of this search; begin again without it.",
            vi="_page không phải trang của lần tìm này; xin tìm lại từ đầu.",
        ) from None
    kinds, values, row, total, place = json.read_own(content)
    read = (_READ[kind](value) for kind, value in zip(kinds, values, strict=True))
    return Keyset(tuple(read), row, total, *place)


def _search(query: Query) -> bytes:
    """What tells one search from another; the size of the page may change on the way."""
    order = [[key.parameter.code, key.descending] for key in query.order]
    parts = [query.type, query.asked, order, query.is_sorted, query.compartment]
    return hashlib.sha256(json.write(parts)).digest()
