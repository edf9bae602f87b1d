"""What FHIR adds to FHIRPath. https://hl7.org/fhir/R4/fhirpath.html#functions

What an expression reaches outside of the resource is given by the caller (`scope.Reach`); what is
not given is empty, as the section has it for what a server does not support.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.fhirpath.flow import (
    DYNAMIC,
    Branch,
    Flow,
    Run,
    all_typed,
    all_values,
    boolean,
    many,
    presence,
    single,
    single_typed,
)
from ehr_server.fhirpath.functions.row import Function
from ehr_server.fhirpath.referred import REFERRED, followed
from ehr_server.fhirpath.scope import reach_of
from ehr_server.fhirpath.steps import TYPE_INFO, keep, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ehr_server.fhirpath.flow import Typed
    from ehr_server.fhirpath.scope import Reach
    from ehr_server.fhirpath.site import Site


def has_value(site: Site) -> Flow:
    """Whether there is one primitive value, not only extensions on an absent one."""
    values = all_values(site.source)

    def run(focus: Any, resource: Any) -> bool:
        found = values(focus, resource)
        return len(found) == 1 and not isinstance(found[0], dict)

    return boolean(run)


def extension(site: Site) -> Flow:
    """The extensions with a url: short for `extension.where(url = ...)`."""
    return Flow(tuple(keep(b, _has_url(site.text(), b)) for b in _extensions(site)))


def has_extension(site: Site) -> Flow:
    """Whether there is an extension with the url."""
    return boolean(presence(extension(site)))


def resolve(site: Site) -> Flow:
    """What references lead to.

    For an index, of which only the type can be asked (`referred`); else what the caller can
    reach, and of what lies elsewhere the type that the reference tells.
    """
    kinds = ("Reference", "canonical", "uri", "url", "string", DYNAMIC)
    branches = tuple(b for b in site.source.branches if b.type in kinds)
    if not site.follows:
        return Flow(
            tuple(Branch(REFERRED, b.run, b.is_list, b.keys, step=b.step) for b in branches)
        )
    return Flow(tuple(_followed(branch) for branch in branches))


def type_(site: Site) -> Flow:
    """The type of each value, with its `namespace` and `name`. http://hl7.org/fhirpath/N1/#types"""
    values = all_typed(site.source)

    def run(focus: Any, resource: Any) -> list[dict[str, str]]:
        return [
            {"namespace": "FHIR", "name": value.type.partition(".")[0]}
            for value in values(focus, resource)
        ]

    return Flow((Branch(TYPE_INFO, run, True),))


def html_checks(site: Site) -> Flow:  # noqa: ARG001
    """True: the gate and the explanation hold every narrative against a pattern themselves."""
    return boolean(lambda focus, resource: True)  # noqa: ARG005


def conforms_to(site: Site) -> Flow:
    """Whether the value keeps the profile."""
    return _asked(
        site, lambda reach, value, url: reach.conforms and reach.conforms(value.value, url)
    )


def member_of(site: Site) -> Flow:
    """Whether a code, a Coding or one of a CodeableConcept is in the value set."""

    def ask(reach: Reach, value: Typed, url: Any) -> bool | None:
        if reach.member is None or not isinstance(url, str):
            return None
        member = reach.member
        found = [member(url, system, code) for system, code in _codes(value.value)]
        return True if True in found else None if None in found or not found else False

    return _asked(site, ask)


def of_subsumption(turned: bool) -> Function:
    """A row for `subsumes()` and `subsumedBy()`."""

    def ask(reach: Reach, value: Typed, given: Any) -> bool | None:
        if reach.subsumes is None:
            return None
        found = [
            reach.subsumes(system, other, code) if turned else reach.subsumes(system, code, other)
            for system, code in _codes(value.value)
            for other_system, other in _codes(given)
            if system is not None and system == other_system
        ]
        return True if True in found else None if None in found or not found else False

    return Function(1, 1, lambda site: _asked(site, ask))


def of_clock(type_name: str, form: str) -> Function:
    """A row for `now()`, `today()`, `timeOfDay()`.

    http://hl7.org/fhirpath/N1/#current-date-and-time-functions
    """

    def run(focus: Any, resource: Any) -> str:  # noqa: ARG001
        moment = clock.now().astimezone(reach_of(resource).zone)
        zone = moment.strftime("%z") if type_name == "dateTime" else ""
        return moment.strftime(form) + (f"{zone[:3]}:{zone[3:5]}" if zone else "")

    return Function(0, 0, lambda site: Flow((Branch(type_name, run),)))  # noqa: ARG005


def _extensions(site: Site) -> list[Branch]:
    found = [step(site.definitions, b, "extension") or () for b in site.source.branches]
    return [branch for branches in found for branch in branches]


def _has_url(url: str, branch: Branch) -> Run:
    if branch.type == DYNAMIC:
        return lambda value, resource: value.value.get("url") == url  # noqa: ARG005
    return lambda value, resource: value.get("url") == url  # noqa: ARG005


def _followed(branch: Branch) -> Branch:
    values, is_dynamic = many(branch), branch.type == DYNAMIC

    def run(focus: Any, resource: Any) -> list[Typed]:
        targets = (
            followed(value.value if is_dynamic else value, resource)
            for value in values(focus, resource)
        )
        return [target for target in targets if target is not None]

    return Branch(DYNAMIC, run, True, branch.keys)


def _asked(site: Site, ask: Callable[[Reach, Typed, Any], bool | None]) -> Flow:
    """A flow of what the caller says about the one value."""
    one, other = single_typed(site.source), single(site.argument())

    def run(focus: Any, resource: Any) -> bool | None:
        value, given = one(focus, resource), other(focus, resource)
        if value is None or value.value is None or given is None:
            return None
        return ask(reach_of(resource), value, given)

    return boolean(run)


def _codes(value: Any) -> list[tuple[str | None, str]]:
    """The systems and codes of a code, a Coding or a CodeableConcept."""
    if isinstance(value, str):
        return [(None, value)]
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    return [(one.get("system"), one["code"]) for one in codings if "code" in one]


ROWS: Mapping[str, Function] = {
    "conformsTo": Function(1, 1, conforms_to),
    "extension": Function(1, 1, extension),
    "hasExtension": Function(1, 1, has_extension),
    "hasValue": Function(0, 0, has_value),
    "htmlChecks": Function(0, 0, html_checks),
    "htmlChecks2": Function(0, 0, html_checks),
    "memberOf": Function(1, 1, member_of),
    "now": of_clock("dateTime", "%Y-%m-%dT%H:%M:%S"),
    "resolve": Function(0, 0, resolve),
    "subsumedBy": of_subsumption(True),
    "subsumes": of_subsumption(False),
    "timeOfDay": of_clock("time", "%H:%M:%S"),
    "today": of_clock("date", "%Y-%m-%d"),
    "type": Function(0, 0, type_),
}
