"""A profile as closures: what its tree asks, ready to run on resources.

https://hl7.org/fhir/R4/profiling.html. Each node becomes a few checks, only for what the profile
narrows; the standard itself is checked elsewhere. A check takes a value, its place and the run,
and adds to the run's findings. What another profile asks of a value or of a referred resource is
looked up when it is needed, so that profiles may refer to each other in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jsonschema_rs import Draft4Validator

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.definitions.model import Constraint
from ehr_server.definitions.profile import Binding, Node, Profile, ProfileError, TypeChoice
from ehr_server.fhirpath import FHIRPathError, compile_invariant
from ehr_server.fhirpath.referred import referred_type
from ehr_server.patterns import OPTIONS
from ehr_server.validation.lower import lowered
from ehr_server.validation.profiles import findings, values
from ehr_server.validation.profiles.elements import Item, reader
from ehr_server.validation.profiles.overlay import said_of, split
from ehr_server.validation.profiles.run import Check, Place, Run
from ehr_server.validation.profiles.slices import Sliced, sliced

if TYPE_CHECKING:
    from ehr_server.terminology import Terminology

Find = Callable[[str], "Profile | None"]

_TYPES = "http://hl7.org/fhir/StructureDefinition/"
_ANY_RESOURCE = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class Checks:
    """What one node asks of a value of one type: of the value, and of its elements."""

    of_value: tuple[Check, ...]
    of_parts: tuple[Check, ...]

    def run(self, item: Item, place: Place, run: Run) -> None:
        """Of a primitive that has only a `_name`, only the elements of that are looked at."""
        if item.value is not None:
            for check in self.of_value:
                check(item.value, place, run)
        for check in self.of_parts:
            check(item.parts, place, run)


@dataclass(frozen=True, slots=True)
class Quick:
    """The quick look at values of one type: a schema, and what it leaves for closures: of a value
    that can refer to nothing at hand, and of one that can."""

    overlay: Draft4Validator
    alone: Sequence[Check]
    linked: Sequence[Check]


@dataclass(frozen=True, slots=True)
class Narrow:
    """What is asked of one element of a resource: the check, and the schemas that say all of it,
    if such there are: where it can refer to nothing at hand, and where it can."""

    check: Check
    alone: Draft4Validator | None
    linked: Draft4Validator | None


@dataclass(slots=True)
class HeldProfile:
    """A profile, compiled for each type of value when the first of it is met.

    `holders` remembers of an extension in which types it may stand.
    """

    profile: Profile
    find: Find
    holders: dict[str, bool] = field(default_factory=dict)
    _checks: dict[str, Sequence[Check]] = field(default_factory=dict)
    _quick: dict[str, Quick] = field(default_factory=dict)
    _narrow: dict[str, tuple[Sequence[Check], Sequence[Narrow]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.profile.url

    @property
    def type(self) -> str:
        return self.profile.type

    def is_of(self, resource: dict[str, Any]) -> bool:
        """Whether the profile is one for resources of this type."""
        return self.type in (resource.get("resourceType"), *_ANY_RESOURCE)

    def checks(self, type_name: str) -> Sequence[Check]:
        """What a value of the type is held to; of a primitive only what is asked of its value."""
        found = self._checks.get(type_name)
        if found is None:
            found = self._checks[type_name] = self._compiled(self.profile.root, type_name)
        return found

    def passes(self, value: dict[str, Any], type_name: str, run: Run) -> bool:
        """Whether a value that keeps to the standard surely has no finding: the quick look."""
        quick = self._quick.get(type_name)
        if quick is None:
            compiler = Compiler(self.find)
            schema, alone, linked = split(
                self.profile.root, type_name, run.rulebook.terminology, compiler.target_types
            )
            quick = self._quick[type_name] = Quick(
                Draft4Validator(schema, pattern_options=OPTIONS),
                self._compiled(alone, type_name),
                self._compiled(linked, type_name),
            )
        if not quick.overlay.is_valid(value):
            return False
        for check in quick.linked if run.is_linked else quick.alone:
            check(value, type_name, run)
        return not run.found

    def look_closer(self, resource: dict[str, Any], place: Place, run: Run) -> None:
        """Add what `checks` find of a resource of the profile's type that the gate let pass, and
        `passes` did not: mostly one element is wrong, so each is looked at by its overlay first."""
        type_name = str(resource["resourceType"])
        narrow = self._narrow.get(type_name)
        if narrow is None:
            narrow = self._narrow[type_name] = self._narrowed(type_name, run.rulebook.terminology)
        of_value, of_parts = narrow
        is_linked = run.is_linked
        for check in of_value:
            check(resource, place, run)
        for one in of_parts:
            said = one.linked if is_linked else one.alone
            if said is None or not said.is_valid(resource):
                one.check(resource, place, run)

    def _narrowed(
        self, type_name: str, terminology: Terminology
    ) -> tuple[Sequence[Check], Sequence[Narrow]]:
        compiler, root = Compiler(self.find), self.profile.root
        parts = []
        for name, node in root.children.items():
            check = compiler.element(name, node, type_name)
            if check is not None:
                said = said_of((name, node), type_name, terminology, compiler.target_types)
                alone, linked = (
                    None if one is None else Draft4Validator(one, pattern_options=OPTIONS)
                    for one in said
                )
                parts.append(Narrow(check, alone, linked))
        return compiler.checks(replace(root, children={}), type_name).of_value, parts

    def _compiled(self, root: Node, type_name: str) -> Sequence[Check]:
        made = Compiler(self.find).checks(root, type_name)
        return (*made.of_value, *(() if type_name in PRIMITIVES else made.of_parts))


def check_compiles(profile: Profile, find: Find) -> None:
    """That all the profile asks can be asked. Raises `ProfileError`: for slices that cannot be
    told apart, and for a type that leads to itself."""
    seen = {profile.url}
    root = profile.root
    while len(root.types) == 1 and len(root.types[0].profiles) == 1:
        other = find(root.types[0].profiles[0])
        if other is None:
            break
        if other.url in seen:
            raise ProfileError(
                f"{profile.url}: its type leads to itself, through {other.url}",
                f"{profile.url}: kiểu của hồ sơ dẫn vòng về chính nó, qua {other.url}",
            )
        seen.add(other.url)
        root = other.root
    compiler = Compiler(find)
    for node in profile.root.below():
        if node.slices:
            compiler.sliced(node)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Nodes to checks. `find` gives another profile by its canonical url, None if not loaded."""

    find: Find

    def checks(self, node: Node, type_name: str) -> Checks:
        """What the node asks of a value of the type; of one that may not be there, no more."""
        if node.types and not any(_is_of(type_name, one.code) for one in node.types):
            return Checks((), (_wrong_type(node, type_name),))
        of_value: list[Check] = []
        if node.types:
            of_value += self._types(node, type_name)
        if node.fixed is not None:
            of_value.append(_fixed(node.fixed))
        if node.pattern is not None:
            of_value.append(_pattern(node.pattern))
        if node.least is not None or node.most is not None:
            of_value.append(_bounds(node, type_name))
        if node.length_max is not None:
            of_value.append(_length(node.length_max))
        if node.binding is not None:
            of_value.append(_bound(node.binding, type_name))
        of_value += [_constraint(one, type_name) for one in node.constraints]
        parts = (self.element(name, child, type_name) for name, child in node.children.items())
        return Checks(tuple(of_value), tuple(part for part in parts if part is not None))

    def element(self, name: str, node: Node, type_name: str) -> Check | None:
        """The check of one element of a value of the type; None if the type has no such element,
        as of a choice that is narrowed whatever its type."""
        definition = definitions().types.get(type_name)
        element = definition.elements.get(name) if definition is not None else None
        if element is None:
            return None
        read = reader(element)
        of_type: dict[str, Checks] = {}
        slicing = self.sliced(node)
        least, most = node.min or 0, node.max
        asks_of_values = _asks_of_values(node)

        def check(holder: dict[str, Any], place: Place, run: Run) -> None:
            items = read(holder)
            count = len(items)
            if count < least:
                run.found.append(findings.too_few(run, (place, name, None), node, count))
            if most is not None and count > most:
                run.found.append(findings.too_many(run, (place, name, None), node, count))
            if asks_of_values:
                for item in items:
                    checks = of_type.get(item.type)
                    if checks is None:
                        checks = of_type[item.type] = self.checks(node, item.type)
                    checks.run(item, (place, name, item.at), run)
            if slicing is not None:
                slicing(items, (place, name, None), run)

        return check

    def sliced(self, node: Node) -> Sliced | None:
        """The check of how the node's values are divided; None if they are not."""
        return sliced(self, node) if node.slices else None

    def _types(self, node: Node, type_name: str) -> list[Check]:
        same = [one for one in node.types if _is_of(type_name, one.code)]
        found: list[Check] = []
        profiles = tuple(url for one in same for url in one.profiles)
        if profiles and all(one.profiles for one in same):
            found.append(_profiles(profiles, type_name))
        targets = tuple(url for one in same for url in one.targets)
        if targets and all(one.targets for one in same) and type_name == "Reference":
            found.append(self._targets(targets))
        return found

    def _targets(self, targets: tuple[str, ...]) -> Check:
        """That a reference leads to a resource of one of the profiles, as far as can be seen."""
        by_type: dict[str, list[str]] | None = None

        def check(reference: Any, place: Place, run: Run) -> None:
            nonlocal by_type
            if by_type is None:
                by_type = self.target_types(targets)
            if not by_type or "Resource" in by_type:
                return
            target = run.around.target(reference, run.resource)
            name = (
                target.get("resourceType")
                if target is not None
                else referred_type(reference, run.resource)
            )
            if name is None:
                return
            profiles = by_type.get(name)
            if profiles is None:
                run.found.append(findings.wrong_target(run, place, by_type))
            elif target is not None and profiles and "" not in profiles:
                known = [run.conforms(target, url) for url in profiles]
                if not any(one is not False for one in known):
                    run.found.append(findings.target_does_not_conform(run, place, profiles))

        return check

    def target_types(self, targets: Sequence[str]) -> dict[str, list[str]]:
        """Resource type -> the profiles of it that may be meant, "" for the type itself; {} if a
        profile is not loaded, so that nothing can be said."""
        found: dict[str, list[str]] = {}
        for canonical in targets:
            url = canonical.partition("|")[0]
            base = url.removeprefix(_TYPES)
            if url.startswith(_TYPES) and base in definitions().types:
                found.setdefault(base, []).append("")
                continue
            profile = self.find(canonical)
            if profile is None:
                return {}
            found.setdefault(profile.type, []).append(profile.url)
        return found

    def roots(self, choices: Sequence[TypeChoice]) -> list[Node]:
        """The trees of the one profile that the types name, if it is one and loaded."""
        profiles = [url for choice in choices for url in choice.profiles]
        profile = self.find(profiles[0]) if len(profiles) == 1 else None
        return [profile.root] if profile is not None else []

    def target_roots(self, choices: Sequence[TypeChoice]) -> list[Node]:
        """The trees of the profiles that references lead to, as far as they are loaded."""
        found = (self.find(url) for choice in choices for url in choice.targets)
        return [profile.root for profile in found if profile is not None]


def _asks_of_values(node: Node) -> bool:
    facets = (node.fixed, node.pattern, node.least, node.most, node.length_max, node.binding)
    return bool(
        node.types
        or node.constraints
        or node.children
        or any(facet is not None for facet in facets)
    )


def _is_of(type_name: str, code: str) -> bool:
    return type_name == code or (code in _ANY_RESOURCE and type_name in definitions().type_number)


def _wrong_type(node: Node, type_name: str) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:  # noqa: ARG001
        run.found.append(findings.wrong_type(run, place, node, type_name))

    return check


def _profiles(canonicals: tuple[str, ...], type_name: str) -> Check:
    """That the value keeps to one of the profiles; those that are not loaded ask nothing."""

    def check(value: Any, place: Place, run: Run) -> None:
        held = [run.rulebook.usable(canonical) for canonical in canonicals]
        known = [one for one in held if one is not None]
        if len(known) < len(canonicals):
            return
        if len(known) == 1:
            inner = run.beside(_root(run, value), known[0].url)
            for one in known[0].checks(type_name):
                one(value, place, inner)
            run.found += inner.found
            return
        for one_of in known:
            inner = run.beside(_root(run, value), one_of.url)
            for one in one_of.checks(type_name):
                one(value, place, inner)
            if not any(issue.severity == "error" for issue in inner.found):
                return
        run.found.append(findings.conforms_to_none(run, place, [one.url for one in known]))

    return check


def _root(run: Run, value: Any) -> dict[str, Any]:
    """What `%resource` is for the value: itself, if it is a resource."""
    is_resource = isinstance(value, dict) and "resourceType" in value
    return value if is_resource else run.resource


def _fixed(fixed: Any) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if not values.equals(value, fixed):
            run.found.append(findings.not_fixed(run, place, fixed))

    return check


def _pattern(pattern: Any) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if not values.fits(value, pattern):
            run.found.append(findings.not_pattern(run, place, pattern))

    return check


def _bounds(node: Node, type_name: str) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if not values.is_within(value, node.least, node.most, type_name):
            run.found.append(findings.out_of_bounds(run, place, node))

    return check


def _length(most: int) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if isinstance(value, str) and len(value) > most:
            run.found.append(findings.too_long(run, place, most))

    return check


def _bound(binding: Binding, type_name: str) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if is_bound(value, binding, type_name, run) is False:
            run.found.append(findings.no_code_of(run, place, binding))

    return check


def is_bound(value: Any, binding: Binding, type_name: str, run: Run) -> bool | None:
    """Whether a code, Coding, CodeableConcept or Quantity is of the value set; None if that cannot
    be told: the set, or the system of a code, is not loaded.

    Where there is no code at all, a required set is not met, and an extensible one asks nothing:
    a text will do (https://hl7.org/fhir/R4/terminologies.html#extensible).
    """
    has = run.rulebook.terminology.has
    if not isinstance(value, dict):
        return has(binding.value_set, None, value) if isinstance(value, str) else None
    codings = value.get("coding", []) if type_name == "CodeableConcept" else [value]
    answers = [
        _is_in(has, binding.value_set, coding)
        for coding in (codings if isinstance(codings, list) else ())
        if isinstance(coding, dict) and isinstance(coding.get("code"), str)
    ]
    if True in answers:
        return True
    if answers:
        return None if None in answers else False
    return False if binding.strength == "required" and "extension" not in value else None


def _is_in(
    has: Callable[[str, str | None, str], bool | None], value_set: str, coding: dict[str, Any]
) -> bool | None:
    system = coding.get("system")
    return has(value_set, system, coding["code"]) if isinstance(system, str) else False


def _constraint(constraint: Constraint, type_name: str) -> Check:
    try:
        holds = compile_invariant(constraint.expression, type_name)
    except FHIRPathError:  # reported when the package was loaded; none of ours are like that
        return lambda value, place, run: None  # noqa: ARG005

    def check(value: Any, place: Place, run: Run) -> None:
        if not run.is_sound:
            return
        quick = _quick_look(constraint.expression, type_name)
        if quick is not None and quick.is_valid(value):
            return
        if holds(value, run.resource, run.reach) is False:
            run.found.append(findings.broken(run, place, constraint))

    return check


@lru_cache(maxsize=1024)
def _quick_look(expression: str, type_name: str) -> Draft4Validator | None:
    """A schema whose yes means that the invariant holds, if there is one: a tenth of its time."""
    schema = lowered(expression, type_name)
    return None if schema is None else Draft4Validator(schema, pattern_options=OPTIONS)
