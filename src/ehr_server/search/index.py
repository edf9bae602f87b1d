"""A resource to the rows by which it is found.

https://hl7.org/fhir/R4/search.html. Every parameter of a type is compiled once into small closures
that are kept by the key of the resource they read: the index costs what the resource has, not
what it could have (Observation: 27 parameters, about 9 keys).
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any, TypeVar

from ehr_server.fhir import references
from ehr_server.fhirpath.flow import Branch, many
from ehr_server.identity import blocks
from ehr_server.search import directives
from ehr_server.search.marks import mark
from ehr_server.search.parameter import ADDED_FROM, Parameter, Searched, Source, branches
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.search.rows import UNDATED, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.types.registry import SEARCH_TYPES, fits
from ehr_server.search.where import there_mark
from ehr_server.search.words import places

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Take = Callable[[Any, Rows], None]
_Step = Callable[[dict[str, Any], Rows], None]

_EVERY = "resourceType"  # the key of steps that look at any resource


def index(resource: dict[str, Any], rules: Rules) -> Rows:
    """What a valid resource adds to the index.

    A Patient is also found by what records of one person share (`identity.blocks`).

    `rules` say the zone of dates without one, this server's own address (references that begin
    with it are taken as relative) and what can be searched by. `meta.lastUpdated` and the id are
    not part of the rows: they lie beside them and in the directory.
    """
    type_name, parameters = resource["resourceType"], rules.parameters
    if type_name not in parameters.added:  # compiled once, whatever is added to other types
        parameters = STANDARD
    indexer = _indexer(type_name, rules.zone, rules.base, parameters)
    rows = Rows()
    if indexer.is_dated:
        rows.d1 = rows.d1e = UNDATED
    steps, bits = indexer.steps, indexer.bits
    for key in resource:
        if key in steps:
            rows.has |= bits[key]
            for step in steps[key]:
                step(resource, rows)
    if type_name == "Patient":
        rows.toks += blocks.kept(resource)
    if indexer.patients:
        rows.patients = _patients(resource, indexer, rules.base)
    mark(resource, rows)
    _tidy(rows)
    if rules.has_full_text(resource["resourceType"]):
        rows.words = places(resource)
    if type_name == "Consent":
        rows.directives = list(directives.read(resource, rules).rules)
    return rows


def patients(resource: dict[str, Any], rules: Rules) -> list[str]:
    """The ids of the Patients in whose compartments a resource lies, whom it is about first.

    https://hl7.org/fhir/R4/compartmentdefinition-patient.html. Of a Patient none, as in `Rows`.
    """
    indexer = _indexer(resource["resourceType"], rules.zone, rules.base, STANDARD)
    return _patients(resource, indexer, rules.base)


@dataclass(frozen=True, slots=True)
class _Indexer:
    """`steps` by the key of the resource that they read; `bits` of the parameters of which there
    is a value if the key is there; `patients` lead to References."""

    steps: dict[str, tuple[_Step, ...]]
    bits: dict[str, int]
    patients: tuple[Callable[[Any, Any], Iterable[Any]], ...]
    is_dated: bool


@lru_cache(maxsize=1024)
def _indexer(type_name: str, zone: tzinfo, base: str, parameters: Parameters) -> _Indexer:
    here, rules = parameters.of(type_name), Rules(zone, base, parameters=parameters)
    aliases = _aliases(here)
    steps: dict[str, list[_Step]] = {}
    bits: dict[str, int] = {}
    for parameter in here.indexed:
        if parameter.place in ("id", "updated"):
            continue
        for branch in branches(parameter):
            take = _take(branch.type, parameter, rules)
            if take is not None and parameter.place == "beside":
                continue
            if take is None and parameter.number >= ADDED_FROM:
                continue
            take = take or _take_nothing  # a text in place of a date is not missing
            key = next(iter(branch.keys)) if len(branch.keys) == 1 else _EVERY
            if branch.step and parameter.bit is not None:
                bits[key] = bits.get(key, 0) | 1 << parameter.bit
            else:
                take = _noting(take, parameter)
            if branch.type == "Reference" and parameter.code in aliases:
                take = _narrowing(take, aliases[parameter.code], base)
            step = _step(branch, take)
            if parameter.number >= ADDED_FROM:
                step = _harmless(step, parameter)
            steps.setdefault(key, []).append(step)
    return _Indexer(
        steps={key: tuple(several) for key, several in steps.items()},
        bits={key: bits.get(key, 0) for key in steps},
        patients=tuple(
            many(branch)
            for parameter in here.compartment
            for branch in branches(parameter)
            if branch.type == "Reference"
        ),
        is_dated=here.main_date is not None,
    )


def _aliases(here: Searched) -> dict[str, list[Source]]:
    """By the code of a parameter, the narrower ones that read its values: `patient` of
    `subject`."""
    found: dict[str, list[Source]] = {}
    for several in here.by_code.values():
        for source in several:
            if source.bit is not None:
                found.setdefault(source.parameter.code, []).append(source)
    return found


def _noting(take: _Take, parameter: Parameter) -> _Take:
    """Also note that there is a value, for `:missing`."""
    if parameter.parts:  # a composite is not missing or there
        return take
    if parameter.bit is None:
        mark = there_mark(parameter)

        def take_marked(value: Any, rows: Rows) -> None:
            rows.toks.append(mark)
            take(value, rows)

        return take_marked
    bit = 1 << parameter.bit

    def take_noted(value: Any, rows: Rows) -> None:
        rows.has |= bit
        take(value, rows)

    return take_noted


def _narrowing(take: _Take, aliases: list[Source], base: str) -> _Take:
    """Also note to which types a reference leads that a narrower parameter is about."""
    bits = {target: 1 << (one.bit or 0) for one in aliases for target in one.targets}

    def take_narrow(value: Any, rows: Rows) -> None:
        if text := value.get("reference"):
            reference = references.parse(text, base)
            if reference.kind == "local" and reference.type in bits:
                rows.has |= bits[reference.type]
        take(value, rows)

    return take_narrow


def _patients(resource: dict[str, Any], indexer: _Indexer, base: str) -> list[str]:
    found: list[str] = []
    for read in indexer.patients:
        for value in read(resource, resource):
            text = value.get("reference")
            if text is None:
                continue
            reference = references.parse(text, base)
            if reference.kind == "local" and reference.type == "Patient" and reference.id:
                found.append(reference.id)
    return list(dict.fromkeys(found)) if len(found) > 1 else found


def _take(type_name: str, parameter: Parameter, rules: Rules) -> _Take | None:
    if type_name == "Extension":
        return _of_extension(parameter, rules)
    if _is_unfit(type_name, parameter):
        return None
    return SEARCH_TYPES[parameter.type].extract(type_name, parameter, rules)


def _take_nothing(value: Any, rows: Rows) -> None:
    """Of a type that no search looks into."""


def _is_unfit(type_name: str, parameter: Parameter) -> bool:
    is_added = parameter.number >= ADDED_FROM and not parameter.parts
    return is_added and not fits(type_name, parameter)


def _step(branch: Branch, take: _Take) -> _Step:
    run = branch.run
    if branch.step and not branch.is_list:
        key = branch.step
        return lambda resource, rows: take(resource[key], rows)
    if not branch.is_list:

        def step_one(resource: dict[str, Any], rows: Rows) -> None:
            value = run(resource, resource)
            if value is not None:
                take(value, rows)

        return step_one

    def step(resource: dict[str, Any], rows: Rows) -> None:
        for value in run(resource, resource):
            take(value, rows)

    return step


def _harmless(step: _Step, parameter: Parameter) -> _Step:
    """An expression of somebody's own must not keep a record from being stored: where it fails,
    the resource is not found by it, and the log says so."""

    def tried(resource: dict[str, Any], rows: Rows) -> None:
        try:
            step(resource, rows)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            log.warning(
                "the search parameter %s cannot be read: %s", parameter.name, type(error).__name__
            )

    return tried


def _of_extension(parameter: Parameter, rules: Rules) -> _Take:
    """The value of an extension, whose type is told by its key: `valueCodeableConcept`."""

    def take(extension: Any, rows: Rows) -> None:
        for key, value in extension.items():
            if key.startswith("value"):
                type_name = key[5:]
                for name in (type_name, type_name[0].lower() + type_name[1:]):
                    inner = SEARCH_TYPES[parameter.type].extract(name, parameter, rules)
                    if _is_unfit(name, parameter):
                        continue
                    if inner is not None and isinstance(value, dict) == name[0].isupper():
                        inner(value, rows)

    return take


def _tidy(rows: Rows) -> None:
    """Sorted and without repetition."""
    rows.toks = sorted(set(rows.toks))
    if len(rows.refs) > 1:
        rows.refs = sorted(set(rows.refs))
    if len(rows.strings) > 1:
        rows.strings = list({row[:2]: row for row in reversed(rows.strings)}.values())
    rows.dates = _once(rows.dates)
    rows.quantities = _once(rows.quantities)
    rows.identifiers = _once(rows.identifiers)


def _once(values: list[_T]) -> list[_T]:
    return list(dict.fromkeys(values)) if len(values) > 1 else values
