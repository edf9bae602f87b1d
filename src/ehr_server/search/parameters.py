"""What each type can be searched by, and where each parameter's values lie.

https://hl7.org/fhir/R4/searchparameter-registry.html. Many parameters need no values of their own,
because others have them: `patient` is `subject` that refers to a Patient, `combo-code` is `code`
or `component-code`, `phonetic` reads what `name` reads.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from ehr_server.definitions import SearchParameter, definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.flow import Branch
from ehr_server.search.paths import alternatives, binding

Place = Literal["main", "side", "id", "updated", "identifier"]

TYPES = ("token", "string", "date", "number", "quantity", "reference", "uri")

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

_RESOLVED = re.compile(r"(.+)\.where\(resolve\(\) is ([A-Za-z]+)\)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that has values in the index.

    `name` is what its hashes begin with. `place`: `main` for a column of the narrow row, `id`,
    `updated` and `identifier` for what is looked up elsewhere, else `side`. `types` are the FHIR
    types of its values, `system` the code system that a required binding implies. `is_home`: a
    Patient that it refers to is the one in whose compartment the resource lies.
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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter that a client names has its values; `targets`: what these may refer to."""

    parameter: Parameter
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Searched:
    """A type's parameters: by the client's name, those with values, the main ones.

    A parameter of several sources has the values of all. `compartment`: those that place the
    resource in a Patient's compartment, the home first.
    """

    by_code: Mapping[str, tuple[Source, ...]]
    indexed: tuple[Parameter, ...]
    main_date: Parameter | None
    main_code: Parameter | None
    compartment: tuple[Parameter, ...]


@cache
def searched(type_name: str) -> Searched:
    """What the type can be searched by."""
    definitions_of = definitions().search_parameters[type_name]
    own = {
        code: _parameter(definition)
        for code, definition in definitions_of.items()
        if definition.expression is not None and definition.type in TYPES
    }
    sources = {code: _sources(definitions_of[code], own) for code in own}
    used = {source.parameter.code for several in sources.values() for source in several}
    compartment = _compartment(type_name, sources)
    placed = {code: _placed(own[code], compartment) for code in sorted(used)}
    main = {parameter.type: parameter for parameter in placed.values() if parameter.place == "main"}
    return Searched(
        by_code={
            code: tuple(
                replace(source, parameter=placed[source.parameter.code]) for source in several
            )
            for code, several in sources.items()
        },
        indexed=tuple(placed.values()),
        main_date=main.get("date"),
        main_code=main.get("token"),
        compartment=tuple(placed[code] for code in compartment),
    )


def branches(parameter: Parameter) -> list[Branch]:
    """The closures that lead to the parameter's values, each to values of one FHIR type."""
    return [
        branch
        for path in parameter.paths
        for branch in compile_flow(path, parameter.base, definitions()).branches
    ]


def _parameter(definition: SearchParameter) -> Parameter:
    paths = alternatives(definition.expression or "")
    parameter = Parameter(
        number=definition.number,
        base=definition.base,
        code=definition.code,
        type=definition.type,
        name=definition.code
        if definition.code.startswith("_")
        else f"{definition.base}.{definition.code}",
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
