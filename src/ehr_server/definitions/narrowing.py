"""One element's facets made narrower by what a differential says of it, and never wider.

https://hl7.org/fhir/R4/profiling.html#constrain. What equals or widens the type's own is left out;
what widens or contradicts the profile it derives from is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from ehr_server.definitions import differential
from ehr_server.definitions.differential import BASE, Entry
from ehr_server.definitions.model import definitions
from ehr_server.definitions.profile import Binding, Node, Slicing, TypeChoice

_RULES = ("open", "openAtEnd", "closed")


@dataclass(frozen=True, slots=True)
class Frame:
    """What holds of an element before any profile: of a slice, what its list allows.

    `targets` are canonicals, () is any; `binding` is the url of the type's required value set;
    `known` the keys of the constraints that its types have.
    """

    min: int
    max: int | None
    choices: tuple[TypeChoice, ...]
    targets: tuple[str, ...] = ()
    binding: str | None = None
    known: frozenset[str] = frozenset()
    is_type_of_slice: bool = False  # a slice of a choice: its types tell it apart
    is_counted: bool = True  # the cardinality of a resource's root says nothing


def narrowed(node: Node, entry: Entry, frame: Frame) -> Node:
    """The node with what the entry adds. Raises `ProfileError` for what cannot be."""
    least, most = _cardinality(node, entry, frame) if frame.is_counted else (None, None)
    types = _types(node, entry, frame)
    choices = types or frame.choices
    fixed, pattern = _values(node, entry, choices)
    known = frame.known | {one.key for one in node.constraints}
    return replace(
        node,
        min=least,
        max=most,
        types=types,
        fixed=fixed,
        pattern=pattern,
        least=_tighter(node.least, _value(entry, "minValue", choices), max),
        most=_tighter(node.most, _value(entry, "maxValue", choices), min),
        length_max=_tighter(node.length_max, entry.said.get("maxLength"), min),
        binding=_binding(node, entry, frame),
        constraints=(*node.constraints, *differential.constraints(entry, known)),
        slicing=_slicing(node.slicing, differential.slicing(entry)),
    )


def is_a(type_name: str, ancestor: str) -> bool:
    """Whether a type is another or specializes it: `Age` is a `Quantity`."""
    name: str | None = type_name
    while name is not None and name != ancestor:
        found = definitions().types.get(name)
        name = found.parent if found else None
    return name is not None


def _cardinality(node: Node, entry: Entry, frame: Frame) -> tuple[int | None, int | None]:
    said_least, said_most, is_many = differential.cardinality(entry)
    least, most = node.min, node.max
    if said_least is not None:
        if least is not None and said_least < least:
            raise entry.wrong(
                f"min {said_least} is below the {least} of the profile it derives from",
                f"min {said_least} nhỏ hơn {least} của profile gốc",
            )
        least = said_least if said_least > frame.min else least
    if most is not None and (is_many or (said_most is not None and said_most > most)):
        raise entry.wrong(
            f"max {entry.said['max']} is above the {most} of the profile it derives from",
            f"max {entry.said['max']} lớn hơn {most} của profile gốc",
        )
    if said_most is not None and (frame.max is None or said_most < frame.max):
        most = said_most
    in_all_least = frame.min if least is None else least
    in_all_most = frame.max if most is None else most
    if in_all_most is not None and in_all_least > in_all_most:
        raise entry.wrong(
            f"min {in_all_least} is above max {in_all_most}",
            f"min {in_all_least} lớn hơn max {in_all_most}",
        )
    return least, most


def _types(node: Node, entry: Entry, frame: Frame) -> tuple[TypeChoice, ...]:
    said = differential.types(entry)
    if not said:
        return node.types
    merged = tuple(_choice(choice, node.types or frame.choices, entry, frame) for choice in said)
    is_as_before = not frame.is_type_of_slice and set(merged) == set(frame.choices)
    return () if is_as_before else merged


def _choice(
    choice: TypeChoice, allowed: tuple[TypeChoice, ...], entry: Entry, frame: Frame
) -> TypeChoice:
    """The choice with what it keeps of the parent's. Raises `ProfileError` if there is none."""
    same = next((one for one in allowed if one.code == choice.code), None)
    if same is None and not any(is_a(choice.code, one.code) for one in allowed):
        codes = ", ".join(one.code for one in allowed)
        raise entry.wrong(
            f"the type {choice.code} is none of {codes}",
            f"kiểu {choice.code} không thuộc {codes}",
        )
    is_any = bool(frame.targets) and set(choice.targets) >= set(frame.targets)
    targets = () if is_any else choice.targets
    return TypeChoice(
        choice.code,
        choice.profiles or (same.profiles if same else ()),
        targets or (same.targets if same else ()),
    )


def _values(node: Node, entry: Entry, choices: tuple[TypeChoice, ...]) -> tuple[Any, Any]:
    """`fixed` and `pattern`, which agree with those of the profile it derives from."""
    fixed, pattern = _value(entry, "fixed", choices), _value(entry, "pattern", choices)
    if fixed is not None and node.fixed is not None and fixed != node.fixed:
        raise entry.wrong(
            "another value is fixed by the profile it derives from",
            "profile gốc đã cố định giá trị khác",
        )
    fixed = node.fixed if fixed is None else fixed
    if node.pattern is not None:
        pattern = node.pattern if pattern is None else _joined(node.pattern, pattern)
    is_kept = fixed is None or pattern is None or has_pattern(fixed, pattern)
    if not is_kept or pattern is _CONTRADICTION:
        raise entry.wrong(
            "fixed value and pattern, or two patterns, contradict each other",
            "giá trị cố định và mẫu (pattern) mâu thuẫn nhau",
        )
    return fixed, pattern


def _value(entry: Entry, prefix: str, choices: tuple[TypeChoice, ...]) -> Any:
    """The value of `fixed[x]` and its like, of a type that the element can have; None if absent."""
    found = differential.valued(entry, prefix)
    if found is None:
        return None
    name, value = found
    if not any(is_a(name, one.code) or is_a(one.code, name) for one in choices):
        codes = ", ".join(one.code for one in choices)
        raise entry.wrong(
            f"{prefix}[x] is of type {name}, the element of {codes}",
            f"{prefix}[x] có kiểu {name}, phần tử có kiểu {codes}",
        )
    return value


def has_pattern(value: Any, pattern: Any) -> bool:
    """Whether a value has all that a pattern has.

    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern[x]
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and has_pattern(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(has_pattern(one, part) for one in value) for part in pattern
        )
    return bool(value == pattern)


_CONTRADICTION = object()


def _joined(one: Any, other: Any) -> Any:
    """A pattern that asks for what both ask; `_CONTRADICTION` if nothing can have both."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = {name: _joined(one[name], other[name]) for name in one.keys() & other.keys()}
        if any(part is _CONTRADICTION for part in both.values()):
            return _CONTRADICTION
        return {**one, **other, **both}
    if isinstance(one, list) and isinstance(other, list):
        return [*other, *(part for part in one if not has_pattern(other, [part]))]
    return one if one == other else _CONTRADICTION


def _tighter(one: Any, other: Any, choose: Any) -> Any:
    """The one of two limits that lets less through; the later one if they do not compare."""
    if one is None or other is None:
        return one if other is None else other
    both_numbers = all(isinstance(limit, int | Decimal) for limit in (one, other))
    return choose(one, other) if both_numbers else other


def _binding(node: Node, entry: Entry, frame: Frame) -> Binding | None:
    said = differential.binding(entry)
    if said is None or (frame.binding and said.strength == "extensible"):
        return node.binding
    is_own = frame.binding == said.value_set.partition("|")[0]
    is_weaker = node.binding is not None and (node.binding.strength, said.strength) == (
        "required",
        "extensible",
    )
    return node.binding if is_own or is_weaker else said


def _slicing(one: Slicing | None, other: Slicing | None) -> Slicing | None:
    """Both slicings: told apart by what either says, with the stricter rules."""
    if one is None or other is None:
        return other or one
    return Slicing(
        tuple(dict.fromkeys(one.discriminators + other.discriminators)),
        one.is_ordered or other.is_ordered,
        max(one.rules, other.rules, key=_RULES.index),
    )


def type_choices(types: tuple[str, ...]) -> tuple[TypeChoice, ...]:
    """The types of an element that no profile has narrowed."""
    return tuple(TypeChoice(name) for name in types)


def canonicals(types: tuple[str, ...]) -> tuple[str, ...]:
    """The canonicals of types: how a profile names the targets of a Reference."""
    return tuple(f"{BASE}{name}" for name in types)
