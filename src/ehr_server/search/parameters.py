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
from typing import Literal

from ehr_server.definitions import SearchParameter, definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.flow import Branch
from ehr_server.search import composites
from ehr_server.search.paths import alternatives, binding
from ehr_server.search.unready import Unready

Place = Literal["main", "side", "id", "updated", "identifier", "beside"]

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

ADDED_FROM = 10_000  # the numbers of parameters that are not the standard's
_BITS = 63

_RESOLVED = re.compile(r"(.+)\.where\(resolve\(\) is ([A-Za-z]+)\)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that has values in the index.

    `name` is what its hashes begin with. `place`: `main` for a column of the narrow row, `id`,
    `updated` and `identifier` for what is looked up elsewhere, `beside` for quantities that a
    composite writes, each beside its code, else `side`. `types` are the FHIR types of its values,
    `system` the code system that a required binding implies. `is_home`: a Patient that it refers
    to is the one in whose compartment the resource lies. `bit` tells on the narrow row whether
    there is a value; a parameter that is not the standard's has a mark in the array instead.
    `parts` are those of a composite.
    """

    number: int
    base: str
    code: str
    type: str
    name: str
    paths: tuple[str, ...]
    types: frozenset[str]
    place: Place = "side"
    system: str | None = None
    is_home: bool = False
    bit: int | None = None
    parts: tuple["Part", ...] = ()

    @property
    def is_name(self) -> bool:
        """Whether its values are names of people, which are found by their words in any order."""
        return self.types == {"HumanName"}


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a composite: the expression on what the composite's path leads to, and the
    parameter that says how its values are read."""

    parameter: Parameter
    expression: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter that a client names has its values; `targets`: what these may refer to.

    `bit` tells whether there is a value that refers to one of the targets, where that is not the
    same as whether there is any.
    """

    parameter: Parameter
    targets: tuple[str, ...] = ()
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """One place where a composite's components stand together.

    `outside` are those, by their position, of which the resource has one such place, so that each
    can be asked for by itself; `inside`, at the positions `within`, those that must be met by the
    same of several.
    """

    outside: tuple[tuple[int, tuple[Source, ...]], ...]
    within: tuple[int, ...] = ()
    inside: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """A type's parameters: by the client's name, those with values, the main ones.

    A parameter of several sources has the values of all, a composite its contexts. `compartment`:
    those that place the resource in a Patient's compartment, the home first. `unready`: codes
    whose values are written, but not yet of every resource, so that nothing can be searched by
    them.
    """

    by_code: Mapping[str, tuple[Source, ...]]
    composites: Mapping[str, tuple[Context, ...]]
    indexed: tuple[Parameter, ...]
    main_date: Parameter | None
    main_code: Parameter | None
    compartment: tuple[Parameter, ...]
    unready: frozenset[str] = frozenset()


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
    for parameter in _written_by(composites_of):
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
            found = tuple(_apart(one, definition) for one in contexts(definition, here.by_code))
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
                for one in contexts(definition, by_code)
            )
    return found


def _written_by(composites_of: Mapping[str, tuple[Context, ...]]) -> set[Parameter]:
    """The quantities that stand beside a code wherever they stand: the composite writes them."""
    found = set()
    for several in composites_of.values():
        for inside in (context.inside for context in several if context.inside):
            kinds = [part.parameter.type for part in inside.parts]
            if kinds == ["token", "quantity"]:
                last = inside.parts[-1].parameter
                if all(composites.is_below(own, inside.paths[0]) for own in last.paths):
                    found.add(last)
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


def branches(parameter: Parameter) -> list[Branch]:
    """The closures that lead to the parameter's values, each to values of one FHIR type."""
    return [
        branch
        for path in parameter.paths
        for branch in compile_flow(path, parameter.base, definitions()).branches
    ]


def contexts(
    definition: SearchParameter, by_code: Mapping[str, tuple[Source, ...]]
) -> tuple[Context, ...]:
    """Where the components of a composite stand together."""
    found = []
    for path, outside, inside in composites.places(definition):
        own = tuple(
            (at, composites.sources_at(_start(path, expression), code, definition, by_code))
            for at, code, expression in outside
        )
        codes = [code for _, code, _ in inside]
        parts = tuple(
            Part(_read_as(path, expression, code, codes, definition, by_code), expression)
            for _, code, expression in inside
        )
        together = _composite(definition, path, parts) if parts else None
        found.append(Context(own, tuple(at for at, _, _ in inside), together))
    return tuple(found)


def _read_as(
    path: str,
    expression: str,
    code: str,
    codes: Iterable[str],
    definition: SearchParameter,
    by_code: Mapping[str, tuple[Source, ...]],
) -> Parameter:
    """The parameter of a component: the one named, unless another of the composite reads just
    that path (the two of DocumentReference `relationship` are named the wrong way round)."""
    named = {one: composites.sources_at(path, one, definition, by_code) for one in (code, *codes)}
    for several in named.values():
        for source in several:
            if source.parameter.paths == (f"{path}.{expression}",):
                return source.parameter
    return named[code][0].parameter


def _start(path: str, expression: str) -> str:
    """`%resource.x` begins at the resource, whatever the composite's path."""
    return path.partition(".")[0] if expression.startswith("%resource") else path


def _composite(definition: SearchParameter, path: str, parts: tuple[Part, ...]) -> Parameter:
    return Parameter(
        definition.number,
        definition.base,
        definition.code,
        definition.type,
        _name(definition),
        (path,),
        frozenset(),
        parts=parts,
    )


def _parameter(definition: SearchParameter) -> Parameter:
    paths = alternatives(definition.expression or "")
    parameter = Parameter(
        number=definition.number,
        base=definition.base,
        code=definition.code,
        type=definition.type,
        name=_name(definition),
        paths=paths,
        types=frozenset(),
        system=_implied_system(definition.base, paths),
    )
    return replace(parameter, types=frozenset(branch.type for branch in branches(parameter)))


def _name(definition: SearchParameter) -> str:
    """What its hashes begin with. An added parameter may be replaced by another of its code, whose
    values must not be taken for those that the rows still hold of it: hence the number."""
    if definition.number >= ADDED_FROM:
        return f"{definition.base}.{definition.code}#{definition.number}"
    if definition.code.startswith("_"):
        return definition.code
    return f"{definition.base}.{definition.code}"


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
