"""What each type can be searched by, and where each parameter's values lie.

https://hl7.org/fhir/R4/searchparameter-registry.html. Many parameters need no values of their own,
because others have them: `patient` is `subject` that refers to a Patient, `combo-code` is `code`
or `component-code`, `phonetic` reads what `name` reads.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cache

from ehr_server.definitions import SearchParameter, definitions
from ehr_server.search import composites
from ehr_server.search.parameter import (
    Context,
    Parameter,
    Place,
    Searched,
    Source,
    branches,
    hashed_name,
)
from ehr_server.search.paths import alternatives, binding
from ehr_server.search.unready import Unready

TYPES = ("token", "string", "date", "number", "quantity", "reference", "uri", "special")

# The one date, code and quantity of a type that lie on the narrow row; other types: `date`, if
# there is at most one, and `code`.
_MAIN_DATE = {
    "Claim": "created",
    "Condition": "onset-date",
    "ExplanationOfBenefit": "created",
    "MedicationRequest": "authoredon",
    "Patient": "birthdate",
    "Provenance": "recorded",
    "QuestionnaireResponse": "authored",
    "ServiceRequest": "authored",
    "Task": "authored-on",
}
_MAIN_CODE = {
    "CarePlan": "category",
    "Composition": "type",
    "DocumentReference": "type",
    "Encounter": "type",
    "Immunization": "vaccine-code",
}
_MAIN_QUANTITY = {"Observation": "value-quantity"}

_BITS = 61

_RESOLVED = re.compile(r"(.+)\.where\(resolve\(\) is ([A-Za-z]+)\)")


@dataclass(frozen=True, eq=False)
class Parameters:
    """All that can be searched by: the standard's parameters, and by type those added to them.

    Immutable: adding one makes a new one, of a later `generation` (`store.search_parameters`).
    The numbers in `building` are indexed, but cannot be searched by yet.
    """

    added: Mapping[str, tuple[SearchParameter, ...]] = field(default_factory=dict)
    generation: int = 0
    building: frozenset[int] = frozenset()
    _made: dict[str, Searched] = field(default_factory=dict, repr=False)

    def of(self, type_name: str) -> Searched:
        """What the type can be searched by."""
        found = self._made.get(type_name)
        if found is None:
            found = _standard(type_name)
            if added := self.added.get(type_name):
                found = _with_added(found, added, self.building)
            self._made[type_name] = found
        return found

    def definitions(self, type_name: str) -> Mapping[str, SearchParameter]:
        """The definitions by code."""
        standard = definitions().search_parameters[type_name]
        added = self.added.get(type_name, ())
        return {**standard, **{one.code: one for one in added}} if added else standard

    def refuse_unready(self, type_name: str, code: str) -> None:
        """Raises `Unready` for a parameter whose index is not yet complete."""
        if code in self.of(type_name).unready:
            raise Unready(type_name, code)


STANDARD = Parameters()


@cache
def _standard(type_name: str) -> Searched:
    return _searched(definitions().search_parameters[type_name])


def _searched(definitions_of: Mapping[str, SearchParameter]) -> Searched:
    type_name = next(iter(definitions_of.values())).base
    own = {
        code: _parameter(definition)
        for code, definition in definitions_of.items()
        if definition.expression is not None and definition.type in TYPES
    }
    sources = {code: _sources(definitions_of[code], own) for code in own}
    used = {source.parameter.code for several in sources.values() for source in several}
    compartment = _compartment(type_name, sources)
    placed = {code: _placed(own[code], compartment) for code in sorted(used)}
    _give_bits(placed)
    composites_of = _composites(definitions_of, sources, placed)
    for parameter in composites.written_by(composites_of):
        placed[parameter.code] = replace(placed[parameter.code], place="beside")
    main = {parameter.type: parameter for parameter in placed.values() if parameter.place == "main"}
    by_code = _with_placed(sources, placed)
    inside = dict.fromkeys(
        context.inside for several in composites_of.values() for context in several
    )
    return Searched(
        by_code=_with_bits(by_code, placed),
        composites=composites_of,
        indexed=(*placed.values(), *filter(None, inside)),
        main_date=main.get("date"),
        main_code=main.get("token"),
        compartment=tuple(placed[code] for code in compartment),
    )


def _with_added(
    here: Searched, added: Iterable[SearchParameter], building: AbstractSet[int]
) -> Searched:
    """Added parameters stand beside the standard's and change nothing of theirs: not what lies on
    the row, nor which bit tells of what. Each has values of its own, under its number, also where
    another reads the same: so nothing depends on what may be taken away again.
    """
    by_code, composites_of = dict(here.by_code), dict(here.composites)
    indexed, unready = list(here.indexed), set()
    for definition in added:
        if definition.number in building:
            unready.add(definition.code)
        if definition.type == "composite":
            found = tuple(
                _apart(one, definition) for one in composites.contexts(definition, here.by_code)
            )
            indexed += [one.inside for one in found if one.inside is not None]
            if definition.number not in building:
                composites_of[definition.code] = found
            continue
        parameter = _parameter(definition)
        indexed.append(parameter)
        if definition.number not in building:
            by_code[definition.code] = (Source(parameter, definition.targets),)
    return replace(
        here,
        by_code=by_code,
        composites=composites_of,
        indexed=tuple(indexed),
        unready=frozenset(unready),
    )


def _apart(context: Context, definition: SearchParameter) -> Context:
    """The context with values of its own: the standard's composites share theirs."""
    if context.inside is None:
        return context
    first, last = context.inside.parts
    own = replace(last.parameter, number=definition.number, place="side", bit=None)
    return replace(
        context, inside=replace(context.inside, parts=(first, replace(last, parameter=own)))
    )


def _with_placed(
    sources: Mapping[str, tuple[Source, ...]], placed: Mapping[str, Parameter]
) -> dict[str, tuple[Source, ...]]:
    return {
        code: tuple(replace(source, parameter=placed[source.parameter.code]) for source in several)
        for code, several in sources.items()
    }


def _composites(
    definitions_of: Mapping[str, SearchParameter],
    sources: Mapping[str, tuple[Source, ...]],
    placed: Mapping[str, Parameter],
) -> dict[str, tuple[Context, ...]]:
    """By code; what several composites ask of the same places is indexed once."""
    by_code = _with_placed(sources, placed)
    known: dict[tuple[object, ...], Parameter] = {}
    found = {}
    for code, definition in sorted(definitions_of.items()):
        if definition.type == "composite" and definition.expression:
            found[code] = tuple(
                replace(
                    one, inside=known.setdefault((one.inside.paths, one.inside.parts), one.inside)
                )
                if one.inside
                else one
                for one in composites.contexts(definition, by_code)
            )
    return found


def _give_bits(placed: dict[str, Parameter]) -> None:
    """In the order of their numbers, which never changes; `_id` and its like need none."""
    for bit, parameter in enumerate(sorted(placed.values(), key=lambda one: one.number)):
        placed[parameter.code] = replace(parameter, bit=bit)


def _with_bits(
    by_code: Mapping[str, tuple[Source, ...]], placed: Mapping[str, Parameter]
) -> dict[str, tuple[Source, ...]]:
    """Further bits for the likes of `patient`, which is `subject` where that is a Patient."""
    free = sum(parameter.bit is not None for parameter in placed.values())
    found: dict[str, tuple[Source, ...]] = {}
    for code, several in sorted(by_code.items()):
        first = several[0]
        if code != first.parameter.code and first.targets and first.parameter.bit is not None:
            several = (replace(first, bit=free), *several[1:])
            free += 1
        found[code] = several
    if free > _BITS:
        raise ValueError(f"{len(placed)} parameters are more than a row has bits for")
    return found


def _parameter(definition: SearchParameter) -> Parameter:
    paths = alternatives(definition.expression or "")
    parameter = Parameter(
        number=definition.number,
        base=definition.base,
        code=definition.code,
        type=definition.type,
        name=hashed_name(definition),
        paths=paths,
        types=frozenset(),
        system=_implied_system(definition.base, paths),
    )
    return replace(parameter, types=frozenset(branch.type for branch in branches(parameter)))


def _implied_system(base: str, paths: Iterable[str]) -> str | None:
    systems = {definitions().systems.get(binding(base, path) or "") for path in paths}
    return systems.pop() if len(systems) == 1 else None


def _sources(definition: SearchParameter, own: Mapping[str, Parameter]) -> tuple[Source, ...]:
    """The parameters that have the values: itself, if no others have them all."""
    paths = set(own[definition.code].paths)
    parts = [_RESOLVED.fullmatch(path) for path in paths]
    if all(parts):
        targets = tuple(sorted({part[2] for part in parts if part}))
        whole = _with_paths({part[1] for part in parts if part}, definition.type, own)
        return (Source(whole or own[definition.code], targets),)
    rest, others = set(paths), []
    smaller = [
        other
        for other in own.values()
        if other.type == definition.type and set(other.paths) < paths
    ]
    for other in sorted(smaller, key=lambda other: (-len(other.paths), other.number)):
        if rest & set(other.paths):
            rest -= set(other.paths)
            others.append(_with_paths(set(other.paths), definition.type, own) or other)
    if not rest:
        return tuple(Source(other, definition.targets) for other in others)
    same = _with_paths(paths, definition.type, own)
    return (Source(same or own[definition.code], definition.targets),)


def _with_paths(paths: set[str], type_: str, own: Mapping[str, Parameter]) -> Parameter | None:
    """The first parameter that reads just these paths."""
    same = [other for other in own.values() if other.type == type_ and set(other.paths) == paths]
    return min(same, key=lambda other: other.number, default=None)


def _compartment(type_name: str, sources: Mapping[str, tuple[Source, ...]]) -> tuple[str, ...]:
    """The codes that place the type in a Patient's compartment: whom it is about comes first.

    The standard's order would put a child's Coverage into the record of the policy holder.
    """
    if type_name == "Patient":  # its own compartment comes of its id, `link` adds none
        return ()
    listed = definitions().compartments["Patient"].get(type_name, ())
    codes = [source.parameter.code for code in listed for source in sources[code]]
    about = [
        source.parameter.code
        for code in ("patient", "subject")
        for source in sources.get(code, ())
        if source.parameter.code in codes
    ]
    return tuple(dict.fromkeys([*about, *codes]))


def _placed(parameter: Parameter, compartment: tuple[str, ...]) -> Parameter:
    is_home = parameter.code == next(iter(compartment), None) and _is_single(parameter)
    return replace(parameter, place=_place(parameter), is_home=is_home)


def _place(parameter: Parameter) -> Place:
    base, code = parameter.base, parameter.code
    if code == "_id":
        return "id"
    if code == "_lastUpdated":
        return "updated"
    if (base, code) == ("Patient", "identifier"):
        return "identifier"
    is_main = {
        "date": code == _MAIN_DATE.get(base, "date") and _is_single(parameter),
        "quantity": code == _MAIN_QUANTITY.get(base),
        "token": code == _MAIN_CODE.get(base, "code") and "CodeableConcept" in parameter.types,
    }
    return "main" if is_main.get(parameter.type) else "side"


def _is_single(parameter: Parameter) -> bool:
    """Whether a resource has at most one value: one element, no list, or types of one choice."""
    elements = {
        re.split(r"[.) ]", path.lstrip("(").partition(".")[2])[0] for path in parameter.paths
    }
    return len(elements) == 1 and not any(branch.is_list for branch in branches(parameter))
