"""References: `Patient/1`, `1`, an address here or elsewhere, a canonical.

https://hl7.org/fhir/R4/search.html#reference. A reference lies in the array of hashes as that of
what it refers to, exclusive-or that of the parameter: so a join can make it from the column `own`
of what is referred to. One that names a version lies there a second time with it. The identifier
of a reference, for `:identifier`, is a token.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.escapes import unescape
from ehr_server.search.facts import Facts, Lookup
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, any_of, overlaps
from ehr_server.search.types import hierarchy, token

# What refers by an address, not by a type and an id.
ADDRESSES = frozenset(("canonical", "uri", "url", "uuid", "oid"))

_MODIFIERS = frozenset(("identifier", "above", "below"))


@dataclass(frozen=True, slots=True)
class Target:
    """What is referred to: `types` that the id may be of, or the address itself; the `version`,
    if that very one is meant."""

    id: str
    types: tuple[str, ...]
    version: str | None = None

    @property
    def patient(self) -> str | None:
        """The id, if it can only be a Patient's."""
        return self.id if self.types == ("Patient",) and self.version is None else None


Term: TypeAlias = Target | token.Token | hierarchy.Kin


def is_modifier(modifier: str) -> bool:
    """`:identifier`, `:above`, `:below`, or the type that is referred to."""
    return modifier in _MODIFIERS or modifier in definitions().type_number


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """References by what they say and by their identifier, canonicals, and resources inside (of a
    Bundle) by their id."""
    name, base = mark(parameter), rules.base
    take_identifier = token.extract("Identifier", of_identifier(parameter), rules)

    def take(value: Any, rows: Rows) -> None:
        if text := value.get("reference"):
            rows.refs += [target ^ name for target in _targets(text, base)]
        if (identifier := value.get("identifier")) and take_identifier:
            take_identifier(identifier, rows)

    def take_text(value: Any, rows: Rows) -> None:
        rows.refs += [target ^ name for target in _targets(value, base)]

    def take_resource(value: Any, rows: Rows) -> None:
        if "id" in value:
            rows.refs.append(own_comp(value["resourceType"], value["id"]) ^ name)

    if type_name == "Reference":
        return take
    if type_name in ADDRESSES:
        return take_text
    return take_resource if type_name in ("Resource", *definitions().type_number) else None


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Term:
    """A relative or absolute reference, a canonical, or an id alone; an identifier."""
    if modifier == "identifier":
        return _identifier(text, source, rules)
    if modifier in ("above", "below"):
        return _kin(text, source, rules, modifier)
    address = unescape(text)
    if modifier:
        _check_type(modifier, source)
        if references.ID.fullmatch(address):
            return Target(address, (modifier,))
    reference = references.parse(address, rules.base)
    if reference.kind == "local" and reference.type and reference.id:
        _check_type(reference.type, source)
        if modifier and modifier != reference.type:
            raise Malformed(
                f"has the modifier :{modifier} and names another type",
                f"có bổ ngữ :{modifier} nhưng nêu loại khác",
            )
        return Target(reference.id, (reference.type,), reference.version)
    if reference.kind == "other" and references.ID.fullmatch(address):
        return Target(address, source.targets or definitions().resource_types)
    if reference.kind in ("absolute", "urn", "canonical") and not modifier:
        return Target(address if reference.kind == "canonical" else reference.text, ())
    raise Malformed("is not a reference such as Patient/123", "không phải tham chiếu hợp lệ")


def lookups(terms: Sequence[Term], parameter: Parameter) -> Iterator[Lookup]:
    """What is above or below, and the texts of identifiers."""
    for term in terms:
        if isinstance(term, hierarchy.Kin):
            yield hierarchy.lookup((parameter, term), term)


def where(terms: Sequence[Term], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """A reference to one of the targets is in the array."""
    hashes = [hash_ for term in terms for hash_ in stored(parameter, term)]
    of = mark(parameter)
    for term in terms:
        if isinstance(term, hierarchy.Kin):
            hashes += [own ^ of for (own,) in facts[parameter, term]]
    tokens = tuple(term for term in terms if isinstance(term, token.Token))
    parts = [overlaps(f"{row}.refs", hashes)] if hashes else []
    if tokens:
        parts.append(token.where(tokens, of_identifier(parameter), row, facts))
    return any_of(parts)


def matches(term: Term, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether a value of the FHIR type refers to what the term says; what is above or below, only
    `search.match` can tell."""
    if isinstance(term, hierarchy.Kin):
        raise TypeError("one resource does not tell what lies above or below another")
    if not isinstance(term, Target):
        identifier = value.get("identifier") if type_name == "Reference" else None
        own = of_identifier(parameter)
        return identifier is not None and token.matches(term, "Identifier", identifier, own, rules)
    if isinstance(value, dict) and type_name != "Reference":
        return value.get("resourceType") in term.types and value.get("id") == term.id
    text = value.get("reference") if isinstance(value, dict) else value
    if not text:
        return False
    own_reference = references.parse(text, rules.base)
    if term.types:
        return (
            own_reference.kind == "local"
            and own_reference.type in term.types
            and own_reference.id == term.id
            and term.version in (None, own_reference.version)
        )
    return term.id in (own_reference.text, text) and own_reference.kind not in (
        "local",
        "contained",
    )


def of_identifier(parameter: Parameter) -> Parameter:
    """The parameter as that of the identifiers of its references."""
    return replace(
        parameter,
        type="token",
        name=f"{parameter.name}:identifier",
        types=frozenset(("Identifier",)),
        place="side",
        system=None,
        is_home=False,
    )


def mark(parameter: Parameter) -> int:
    """What the hash of a target is combined with in the array."""
    return hash64("reference", parameter.name)


def stored(parameter: Parameter, term: Term) -> list[int]:
    """The hashes by which a target is found in the array."""
    return [hash_ ^ mark(parameter) for hash_ in _hashes(term)] if isinstance(term, Target) else []


def _kin(text: str, source: Source, rules: Rules, way: str) -> hierarchy.Kin:
    found = parse(text, source, rules)
    if not isinstance(found, Target) or len(found.types) != 1 or found.version is not None:
        raise Malformed(
            f"has the modifier :{way}, which takes one resource such as Location/123",
            f"có bổ ngữ :{way}, cần một tài nguyên như Location/123",
        )
    return hierarchy.kin(found.types[0], found.id, way, rules)


def _identifier(text: str, source: Source, rules: Rules) -> token.Token:
    own = of_identifier(source.parameter)
    found = token.parse(text, replace(source, parameter=own), rules)
    if not isinstance(found, token.Token):
        raise TypeError(found)
    return found


def _check_type(type_name: str, source: Source) -> None:
    if type_name not in definitions().type_number:
        raise Malformed("names a type that FHIR does not have", "nêu loại tài nguyên không có")
    if source.targets and type_name not in source.targets:
        raise Malformed(
            f"cannot refer to {type_name}, only to {', '.join(source.targets)}",
            f"không thể tham chiếu tới {type_name}",
        )


def _hashes(term: Target) -> list[int]:
    if not term.types:
        return [_address(term.id)]
    if term.version is not None:
        return [_of_version(term.types[0], term.id, term.version)]
    return [own_comp(type_name, term.id) for type_name in term.types]


def _targets(text: str, base: str) -> tuple[int, ...]:
    """The hashes of what a reference leads to; none for what is contained."""
    return _cached(text, base) if len(text) < CACHED_MAX else _hashed(text, base)


def _hashed(text: str, base: str) -> tuple[int, ...]:
    reference = references.parse(text, base)
    if reference.kind == "local":
        type_name, id_ = reference.type or "", reference.id or ""
        own = own_comp(type_name, id_)
        if reference.version is None:
            return (own,)
        return (own, _of_version(type_name, id_, reference.version))
    if reference.kind == "contained":
        return ()
    if reference.kind == "canonical" and reference.version is not None:
        return (_address(text), _address(reference.text))
    return (_address(reference.text),)


_cached = lru_cache(maxsize=16_384)(_hashed)


def _of_version(type_name: str, id_: str, version: str) -> int:
    return hash64("version", type_name, id_, version) & ~1


def _address(text: str) -> int:
    return hash64("address", text) & ~1
