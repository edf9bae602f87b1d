"""Slicing: the values of an element divided into kinds, each with rules of its own.

https://hl7.org/fhir/R4/profiling.html#slicing. Whether a value is of a slice is told by the
discriminators: True, False, or None where it depends on a resource that is not at hand. Values of
which it cannot be told satisfy a slice's minimum.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.definitions.profile import Discriminator, Node, ProfileError, Slicing
from ehr_server.fhirpath.referred import referred_type
from ehr_server.validation.profiles import findings, values

if TYPE_CHECKING:
    from ehr_server.validation.profiles.compile import Compiler
    from ehr_server.validation.profiles.elements import Item
    from ehr_server.validation.profiles.run import Place, Run

Sliced: TypeAlias = "Callable[[Sequence[Item], Place, Run], None]"
Member: TypeAlias = "Callable[[Item, Run], bool | None]"
_Choose: TypeAlias = "Callable[[Item, Run], int | None]"
_Nearest: TypeAlias = "Callable[[int, Sequence[Item], Run], Sequence[Item]]"

_STEP = re.compile(
    r"\$this|resolve\(\)|extension\('(?P<url>[^']+)'\)|ofType\((?P<type>\w+)\)|(?P<name>\w+)"
)
_UNKNOWN = -1
_DEPTH_MAX = 16
# How extensions are told apart where a profile does not say so.
BY_URL = Slicing((Discriminator("value", "url"),), False, "open")


def sliced(compiler: Compiler, node: Node) -> Sliced:
    """The check of a sliced element's values. Raises `ProfileError` for slices that nothing can
    tell apart."""
    slicing = node.slicing or BY_URL
    slices = tuple(node.slices.values())
    choose = _chooser(compiler, node, slicing)
    nearest = _nearest(compiler, slices, slicing)
    inner = [compiler.sliced(one) for one in slices]
    of_type: dict[tuple[int, str], Any] = {}

    def check(items: Sequence[Item], place: Place, run: Run) -> None:
        groups: list[list[Item]] = [[] for _ in slices]
        is_unknown = False
        furthest = 0
        for item in items:
            at = choose(item, run)
            if at == _UNKNOWN:
                is_unknown = True
                continue
            if at is None:
                if slicing.rules == "closed":
                    run.found.append(findings.in_no_slice(run, _at(place, item), node))
                elif slicing.rules == "openAtEnd":
                    furthest = len(slices)
                continue
            if at < furthest and (slicing.is_ordered or furthest == len(slices)):
                run.found.append(findings.out_of_order(run, _at(place, item), node))
            furthest = max(at, furthest)
            groups[at].append(item)
        for at, (one, group) in enumerate(zip(slices, groups, strict=True)):
            count = len(group)
            if one.min and count < one.min and not is_unknown:
                run.found.append(findings.too_few(run, place, one, count))
                group += nearest(at, items, run)
            if one.max is not None and count > one.max:
                run.found.append(findings.too_many(run, place, one, count))
            for item in group:
                key = (at, item.type)
                checks = of_type.get(key)
                if checks is None:
                    checks = of_type[key] = compiler.checks(one, item.type)
                checks.run(item, _at(place, item), run)
            again = inner[at]
            if again is not None:
                again(group, place, run)

    return check


def _at(place: Place, item: Item) -> Place:
    """`place` ends with the element's name; the item adds its position."""
    return (place[0], place[1], item.at) if isinstance(place, tuple) else place


def _chooser(compiler: Compiler, node: Node, slicing: Slicing) -> _Choose:
    slices = tuple(node.slices.values())
    quick = _by_text(compiler, slices, slicing)
    if quick is not None:
        return quick
    members = [
        tuple(_member(compiler, one, discriminator) for discriminator in slicing.discriminators)
        for one in slices
    ]

    def choose(item: Item, run: Run) -> int | None:
        is_unknown = False
        for at, tests in enumerate(members):
            answers = [test(item, run) for test in tests]
            if all(answer is True for answer in answers):
                return at
            is_unknown = is_unknown or (None in answers and False not in answers)
        return _UNKNOWN if is_unknown else None

    return choose


def _nearest(compiler: Compiler, slices: tuple[Node, ...], slicing: Slicing) -> _Nearest:
    """What might have been meant for a slice that has too few values: the first that is of its
    type but does not keep to its profile, so that it is told where and why."""
    by_type = [one for one in slicing.discriminators if one.kind == "type"]
    by_profile = [one for one in slicing.discriminators if one.kind == "profile"]
    if not by_type or len(by_type) + len(by_profile) < len(slicing.discriminators):
        return lambda at, items, run: ()  # noqa: ARG005
    tests = [tuple(_member(compiler, one, of) for of in by_type) for one in slices]

    def nearest(at: int, items: Sequence[Item], run: Run) -> Sequence[Item]:
        found = (item for item in items if all(test(item, run) is True for test in tests[at]))
        return list(islice(found, 1))

    return nearest


def _by_text(compiler: Compiler, slices: tuple[Node, ...], slicing: Slicing) -> _Choose | None:
    """The common case, one look into a table: slices told apart by one text, such as `system`."""
    if len(slicing.discriminators) != 1 or slicing.discriminators[0].kind not in (
        "value",
        "pattern",
    ):
        return None
    name = slicing.discriminators[0].path
    if not name.isidentifier():
        return None
    table: dict[str, int] = {}
    for at, one in enumerate(slices):
        wanted = _own_text(compiler, one, name)
        if wanted is None or wanted in table:
            return None
        table[wanted] = at

    def choose(item: Item, run: Run) -> int | None:  # noqa: ARG001
        value = item.parts.get(name)
        return table.get(value) if isinstance(value, str) else None

    return choose


def _own_text(compiler: Compiler, one: Node, name: str) -> str | None:
    for node in _reached(compiler, [one], name):
        for wanted in (node.fixed, node.pattern):
            if isinstance(wanted, str):
                return wanted
    if name == "url" and len(one.types) == 1 and one.types[0].code == "Extension":
        # An extension is known by the url of its definition, loaded or not.
        return one.types[0].profiles[0].partition("|")[0] if one.types[0].profiles else None
    return None


def _member(compiler: Compiler, one: Node, discriminator: Discriminator) -> Member:
    steps = _steps(discriminator.path, one)
    nodes = [one]
    for step in steps:
        nodes = _reached(compiler, nodes, step)
    match discriminator.kind:
        case "exists":
            is_there = not any(node.max == 0 for node in nodes)
            return lambda item, run: bool(_values(item, steps, run)) is is_there
        case "type":
            return _of_type(compiler, nodes, steps)
        case "profile":
            return _of_profile(compiler, nodes, steps)
        case _:
            return _of_value(compiler, one, nodes, steps)


def _steps(path: str, one: Node) -> list[str]:
    steps = []
    for part in re.split(r"\.(?![^(]*\))", path):
        if _STEP.fullmatch(part) is None:
            raise ProfileError(
                f"{one.id}: the discriminator {path} cannot be followed",
                f"{one.id}: không thể đi theo discriminator {path}",
            )
        if part != "$this":
            steps.append(part)
    return steps


def _reached(compiler: Compiler, nodes: Sequence[Node], step: str) -> list[Node]:
    """The nodes one step further, also in the one profile that a node's type names."""
    found: list[Node] = []
    roots = [root for node in nodes for root in compiler.roots(node.types)]
    for node in (*nodes, *roots):
        match = _STEP.fullmatch(step)
        if match and match["type"]:
            found.append(node)
        elif step == "resolve()":
            found += (node, *compiler.target_roots(node.types))
        elif match and match["url"]:
            extension = node.children.get("extension")
            found += [
                one
                for one in (extension.slices.values() if extension else ())
                if _own_text(compiler, one, "url") == match["url"]
            ]
        elif step in node.children:
            child = node.children[step]
            found += (child, *(one for one in child.slices.values() if one.min))
    return found


def _values(item: Item, steps: Sequence[str], run: Run) -> list[Any] | None:
    """The values that the steps lead to; None if one lies in a resource that is not at hand."""
    found: list[Any] = [item.value if item.value is not None else item.parts]
    for step in steps:
        following: list[Any] = []
        for value in found:
            if step == "resolve()":
                target = run.around.target(value, run.resource)
                if target is None:
                    return None
                following.append(target)
            elif isinstance(value, dict):
                following += _stepped(value, step)
        found = following
    return found


def _stepped(value: dict[str, Any], step: str) -> list[Any]:
    match = _STEP.fullmatch(step)
    if match is not None and match["type"]:
        return [value]
    if match is not None and match["url"]:
        extensions = value.get("extension")
        several = extensions if isinstance(extensions, list) else []
        return [one for one in several if isinstance(one, dict) and one.get("url") == match["url"]]
    child = value.get(step)
    if child is None:  # a choice: valueQuantity is reached as value
        child = next(
            (
                one
                for name, one in value.items()
                if name.startswith(step) and name[len(step) : len(step) + 1].isupper()
            ),
            None,
        )
    if child is None:
        child = value.get(f"_{step}")  # a primitive that has only extensions is there too
    if child is None:
        return []
    return child if isinstance(child, list) else [child]


def _of_value(compiler: Compiler, one: Node, nodes: Sequence[Node], steps: Sequence[str]) -> Member:
    tests = [test for node in nodes for test in _tests(compiler, node)]
    if not tests:
        raise ProfileError(
            f"{one.id}: nothing is fixed by which the slice could be told",
            f"{one.id}: không có giá trị cố định nào để nhận ra slice",
        )

    def member(item: Item, run: Run) -> bool | None:
        found = _values(item, steps, run)
        if found is None:
            return None
        return any(all(test(value, run) for test in tests) for value in found)

    return member


def _tests(compiler: Compiler, node: Node, depth: int = 0) -> list[Callable[[Any, Run], bool]]:
    """What is asked of a value by the node, and by the one profile that its type names."""
    if depth > _DEPTH_MAX:
        raise ProfileError(
            f"{node.id}: what tells the slice from others leads in a circle",
            f"{node.id}: tiêu chí phân biệt các slice dẫn vòng về chính nó",
        )
    found: list[Callable[[Any, Run], bool]] = []
    for one in (node, *compiler.roots(node.types)):
        if one.fixed is not None:
            found.append(_against(values.equals, one.fixed))
        if one.pattern is not None:
            found.append(_against(values.fits, one.pattern))
        if one.binding is not None and one.binding.strength == "required":
            found.append(_in_value_set(one.binding.value_set))
        for name, child in one.children.items():
            inner = _tests(compiler, child, depth + 1)
            if inner:
                found.append(_below(name, inner))
    return found


def _against(compare: Callable[[Any, Any], bool], wanted: Any) -> Callable[[Any, Run], bool]:
    return lambda value, run: compare(value, wanted)  # noqa: ARG005


def _below(name: str, tests: Sequence[Callable[[Any, Run], bool]]) -> Callable[[Any, Run], bool]:
    def test(value: Any, run: Run) -> bool:
        children = _stepped(value, name) if isinstance(value, dict) else []
        return any(all(one(child, run) for one in tests) for child in children)

    return test


def _in_value_set(value_set: str) -> Callable[[Any, Run], bool]:
    def test(value: Any, run: Run) -> bool:
        has = run.rulebook.terminology.has
        if isinstance(value, str):
            return has(value_set, None, value) is not False
        codings = value.get("coding", [value]) if isinstance(value, dict) else []
        return any(
            has(value_set, coding.get("system"), coding["code"]) is not False
            for coding in (codings if isinstance(codings, list) else ())
            if isinstance(coding, dict)
            and isinstance(coding.get("code"), str)
            and isinstance(coding.get("system"), (str, NoneType))
        )

    return test


def _of_type(compiler: Compiler, nodes: Sequence[Node], steps: Sequence[str]) -> Member:
    is_reference = bool(steps) and steps[-1] == "resolve()"
    choices = [choice for node in nodes for choice in node.types]
    if is_reference:
        targets = [target for choice in choices for target in choice.targets]
        wanted = frozenset(compiler.target_types(targets))
    else:
        wanted = frozenset(choice.code for choice in choices)

    def of_reference(item: Item, run: Run) -> bool | None:
        found = _values(item, steps[:-1], run)
        if not found:
            return None if found is None else False
        target = run.around.target(found[0], run.resource)
        name = target.get("resourceType") if target else referred_type(found[0], run.resource)
        return None if name is None else name in wanted or "Resource" in wanted

    def of_value(item: Item, run: Run) -> bool | None:
        if not steps:
            return item.type in wanted
        found = _values(item, steps, run)
        return any(
            isinstance(value, dict) and value.get("resourceType") in wanted for value in found or ()
        )

    return of_reference if is_reference else of_value


def _of_profile(compiler: Compiler, nodes: Sequence[Node], steps: Sequence[str]) -> Member:
    is_reference = bool(steps) and steps[-1] == "resolve()"
    choices = [choice for node in nodes for choice in node.types]
    canonicals = [
        url for choice in choices for url in (choice.targets if is_reference else choice.profiles)
    ]
    types = frozenset() if is_reference else frozenset(choice.code for choice in choices)

    def member(item: Item, run: Run) -> bool | None:
        found = _values(item, steps, run)
        if found is None:
            return None
        return any(
            isinstance(value, dict)
            and isinstance(value.get("resourceType"), str)
            and (
                any(_keeps_to(compiler, run, value, canonical) for canonical in canonicals)
                if canonicals
                else value.get("resourceType") in types
            )
            for value in found
        )

    return member


def _keeps_to(compiler: Compiler, run: Run, value: dict[str, Any], canonical: str) -> bool:
    known = run.conforms(value, canonical)
    if known is not None:
        return known
    name = str(value.get("resourceType"))
    return name in definitions().type_number and name in compiler.target_types([canonical])
