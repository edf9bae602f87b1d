"""References: `Patient/1`, `1`, an address here or elsewhere, a canonical.

https://hl7.org/fhir/R4/search.html#reference. A reference lies in the array of hashes as that of
what it refers to, exclusive-or that of the parameter: so a join can make it from the compartment
key of a Patient, or of a resource that is in no compartment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.escapes import unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, overlaps

_REFERRING = frozenset(("canonical", "uri", "url", "uuid", "oid"))


@dataclass(frozen=True, slots=True)
class Target:
    """What is referred to: `types` that the id may be of, or the address itself."""

    id: str
    types: tuple[str, ...]

    @property
    def patient(self) -> str | None:
        """The id, if it can only be a Patient's."""
        return self.id if self.types == ("Patient",) else None


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """References by what they say, canonicals, and resources inside (of a Bundle) by their id."""
    name, base = _mark(parameter), rules.base

    def take(value: Any, rows: Rows) -> None:
        if text := value.get("reference"):
            rows.refs += [target ^ name for target in _targets(text, base)]

    def take_text(value: Any, rows: Rows) -> None:
        rows.refs += [target ^ name for target in _targets(value, base)]

    def take_resource(value: Any, rows: Rows) -> None:
        if "id" in value:
            rows.refs.append(own_comp(value["resourceType"], value["id"]) ^ name)

    if type_name == "Reference":
        return take
    if type_name in _REFERRING:
        return take_text
    return take_resource if type_name in ("Resource", *definitions().type_number) else None


def parse(text: str, source: Source, rules: Rules) -> Target:
    """A relative or absolute reference, a canonical, or an id alone."""
    address = unescape(text)
    reference = references.parse(address, rules.base)
    if reference.kind == "local" and reference.type and reference.id:
        if reference.version is not None:
            raise Malformed(
                "names a version, which is not supported yet", "chưa hỗ trợ tìm theo phiên bản"
            )
        _check_type(reference.type, source)
        return Target(reference.id, (reference.type,))
    if reference.kind == "other" and references.ID.fullmatch(address):
        return Target(address, source.targets or definitions().resource_types)
    if reference.kind in ("absolute", "urn", "canonical"):
        return Target(address if reference.kind == "canonical" else reference.text, ())
    raise Malformed("is not a reference such as Patient/123", "không phải tham chiếu hợp lệ")


def where(terms: Sequence[Target], parameter: Parameter) -> Sql:
    """A reference to one of the targets is in the array."""
    mark = _mark(parameter)
    return overlaps("r.refs", (hash_ ^ mark for term in terms for hash_ in _hashes(term)))


def _check_type(type_name: str, source: Source) -> None:
    if type_name not in definitions().type_number:
        raise Malformed("names a type that FHIR does not have", "nêu loại tài nguyên không có")
    if source.targets and type_name not in source.targets:
        raise Malformed(
            f"cannot refer to {type_name}, only to {', '.join(source.targets)}",
            f"không thể tham chiếu tới {type_name}",
        )


def _mark(parameter: Parameter) -> int:
    return hash64("reference", parameter.name)


def _hashes(term: Target) -> list[int]:
    if not term.types:
        return [_address(term.id)]
    return [own_comp(type_name, term.id) for type_name in term.types]


def _targets(text: str, base: str) -> tuple[int, ...]:
    """The hashes of what a reference leads to; none for what is contained."""
    return _cached(text, base) if len(text) < CACHED_MAX else _hashed(text, base)


def _hashed(text: str, base: str) -> tuple[int, ...]:
    reference = references.parse(text, base)
    if reference.kind == "local":
        return (own_comp(reference.type or "", reference.id or ""),)
    if reference.kind == "contained":
        return ()
    if reference.kind == "canonical" and reference.version is not None:
        return (_address(text), _address(reference.text))
    return (_address(reference.text),)


_cached = lru_cache(maxsize=16_384)(_hashed)


def _address(text: str) -> int:
    return hash64("address", text) & ~1
