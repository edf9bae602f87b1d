"""What `_summary` and `_elements` leave of a resource.

https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements. What
is left has all that is mandatory, but rules between elements may not hold, nor references to what
was contained. It is tagged SUBSETTED, so that nobody takes it for the whole and writes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ehr_server.definitions.model import definitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ehr_server.definitions.model import Element, TypeDefinition

Mode = Literal["true", "text", "data", "elements"]
# JSON name of what is kept -> the type by which its inside is cut too, None: it is kept whole.
Plan = dict[str, str | None]

_SYSTEM, _CODE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED"
_FRONT = ("resourceType", "id", "meta")  # always there, and in this order: see `fhir.bundle`
_PLANS_MAX = 512  # callers choose the names, so there is no end of plans


@dataclass(frozen=True, slots=True)
class Subset:
    """What is wanted of a resource: `mode` is the value of `_summary`, or `elements`.

    `elements` are pairs of a type and the name of an element at its top; the type is "" if the
    element is wanted of every resource that has it.
    """

    mode: Mode
    elements: tuple[tuple[str, str], ...] = ()

    def of_included(self) -> Subset | None:
        """What is wanted of the resources that `_include` adds, None: all of each.

        "The list of elements does not apply to included resources", unless it names their type.
        """
        if self.mode != "elements":
            return self
        named = tuple(pair for pair in self.elements if pair[0])
        return Subset("elements", named) if named else None


# `_summary=false` is the whole; `_summary=count` leaves no resource at all and is not here.
SUMMARIES: Mapping[str, Subset | None] = MappingProxyType(
    {"true": Subset("true"), "text": Subset("text"), "data": Subset("data"), "false": None}
)


def elements(value: str) -> Subset:
    """`_elements` as it is asked for: `identifier,active` or `Patient.name,birthDate`.

    In R4 only elements at the top of a resource have names: of a path the first step counts.
    Nothing is refused here; `unknown_elements` finds what no type has.
    """
    return Subset("elements", tuple(dict.fromkeys(_pair(name) for name in value.split(","))))


def unknown_elements(wanted: Subset, *type_names: str) -> tuple[str, ...]:
    """The names, as `nick` or `Patient.nick`, that no type searched has, nor the one they name.

    A name that is empty is unknown.
    """
    return tuple(
        f"{of}.{name}" if of else name
        for of, name in wanted.elements
        if not any(name in _names(one) for one in ((of,) if of else type_names))
    )


def subset(resource: dict[str, Any], wanted: Subset) -> dict[str, Any]:
    """A new resource with what is wanted of the given one, tagged, `id` and `meta` in front.

    The given one is a valid resource and is not changed; the two share what they both have. Of a
    type that `wanted` has no names for, when all its names are for others, nothing is left out.
    """
    plan = _plan(resource["resourceType"], wanted)
    if plan is None:
        return dict(resource)
    front = {name: resource[name] for name in _FRONT if name in resource}
    front["meta"] = _tagged(front.get("meta", {}))
    return front | _cut(resource, plan)


def _pair(text: str) -> tuple[str, str]:
    first, _, rest = text.partition(".")
    of, path = (first, rest) if rest and first in definitions().type_number else ("", text)
    return of, path.partition(".")[0].removesuffix("[x]")


@cache
def _names(type_name: str) -> frozenset[str]:
    """What `_elements` can name: `value`, or `valueQuantity` for those who know it from JSON."""
    several = definitions().types[type_name].elements.values()
    return frozenset(name for one in several for name in (one.name, *dict(one.json_names())))


@lru_cache(maxsize=_PLANS_MAX)
def _plan(type_name: str, wanted: Subset) -> Plan | None:
    """What is kept of a resource beside `_FRONT`; None: all of it."""
    if wanted.mode == "elements":
        names = frozenset(name for of, name in wanted.elements if of in ("", type_name))
        if not names:
            return None
        plan = _with_siblings(_listed(type_name, names))
    elif wanted.mode == "true":
        plan = dict(_summary(type_name))
    else:
        plan = _with_siblings(_narrated(type_name, wanted.mode == "text"))
    return {name: inner for name, inner in plan.items() if name not in _FRONT}


def _listed(type_name: str, names: frozenset[str]) -> Iterator[tuple[str, None]]:
    """The elements named, and those that are mandatory or modifiers.

    A server SHOULD always return the mandatory ones. Modifiers the standard leaves to the client
    to list and lets the server add: a request without its `doNotPerform` says the contrary.
    """
    for element in definitions().types[type_name].elements.values():
        is_owed = element.min > 0 or element.is_modifier or element.name in names
        for json_name, _ in element.json_names():
            if is_owed or json_name in names:
                yield json_name, None


def _narrated(type_name: str, has_text: bool) -> Iterator[tuple[str, None]]:
    """`text`: the narrative and what is mandatory, no more; `data`: all but the narrative."""
    for element in definitions().types[type_name].elements.values():
        is_kept = element.min > 0 or element.name == "text" if has_text else element.name != "text"
        if is_kept:
            yield from ((json_name, None) for json_name, _ in element.json_names())


@cache
def _summary(type_name: str) -> Plan:
    """What `_summary=true` keeps of a type, be it of a resource or of an element."""
    of = definitions().types[type_name]
    return _with_siblings(
        (json_name, inner if _is_cut(inner) else None)
        for element in of.elements.values()
        if _is_in_summary(of, element)
        for json_name, inner in element.json_names()
    )


def _is_in_summary(of: TypeDefinition, element: Element) -> bool:
    """Whether it is marked, or ought to be: the mandatory and the modifiers.

    Of those R4 forgets some: `AuditEvent.agent`, `modifierExtension` of every resource. Below the
    top `id` and `extension` go with what they are about, as those under `_name` do: "all data
    type properties are included in the summary form".
    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.isSummary
    """
    if of.kind != "resource" and element.name in ("id", "extension"):
        return True
    return element.is_summary or element.is_modifier or element.min > 0


@cache
def _is_cut(type_name: str) -> bool:
    """Whether a summary leaves out anything of an element of this type, however deep inside."""
    seen: set[str] = set()
    ahead = [type_name]
    while ahead:
        of = definitions().types[ahead.pop()]
        if of.name in seen or not _has_marks(of):
            continue
        seen.add(of.name)
        several = of.elements.values()
        if of.kind == "resource" or not all(_is_in_summary(of, one) for one in several):
            return True
        ahead.extend(inner for one in several for inner in one.types)
    return False


def _has_marks(of: TypeDefinition) -> bool:
    """Not so Extension, Narrative, primitives: what is in a summary has all of such a value."""
    return any(one.is_summary and one.name != "modifierExtension" for one in of.elements.values())


def _with_siblings(pairs: Iterator[tuple[str, str | None]]) -> Plan:
    """The plan, where `_birthDate` follows `birthDate`."""
    plan: Plan = dict(pairs)
    return plan | {f"_{name}": None for name in plan}


def _cut(value: dict[str, Any], plan: Plan) -> dict[str, Any]:
    return {
        name: inner if (type_name := plan[name]) is None else _inside(inner, type_name)
        for name, inner in value.items()
        if name in plan
    }


def _inside(value: Any, type_name: str) -> Any:
    if isinstance(value, list):
        return [_inside(one, type_name) for one in value]
    if type_name == "Resource":  # in an entry of a Bundle, or a parameter
        return subset(value, Subset("true"))
    # With nothing of it in the summary it would be empty, which FHIR does not allow.
    return _cut(value, _summary(type_name)) or value


def _tagged(meta: dict[str, Any]) -> dict[str, Any]:
    tags = meta.get("tag", [])
    if any(tag.get("system") == _SYSTEM and tag.get("code") == _CODE for tag in tags):
        return meta
    return {**meta, "tag": [*tags, {"system": _SYSTEM, "code": _CODE}]}
