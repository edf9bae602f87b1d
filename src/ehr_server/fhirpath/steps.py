"""From values to the elements in them: closures specialised by what the definitions say.

A primitive value may be missing while its `_name` sibling holds extensions, and a list of
primitives may hold null for such values (https://hl7.org/fhir/R4/json.html#primitive): both are
skipped here, and found through the branch's shadow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import DYNAMIC, Branch, Run, many, typed
from ehr_server.fhirpath.tree import element_names, member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.definitions import Definitions, Element

# The type of what type() yields.
TYPE_INFO = "ClassInfo"
_NOTHING: tuple[Any, ...] = ()


def step(definitions: Definitions, branch: Branch, name: str) -> tuple[Branch, ...] | None:
    """The branches from `branch` to its element `name`; None if its type has no such element.

    Where the type is not known, nor that of a resource, each value is asked when it runs.
    """
    if branch.type == DYNAMIC:
        return (_member(definitions, branch, name),) if name in element_names(definitions) else None
    if branch.type == TYPE_INFO and name in ("namespace", "name"):
        return (Branch("string", _values_of_list(branch.run, name), True),)
    definition = definitions.types.get(branch.type)
    if definition is None:
        return None
    if definition.kind == "primitive":
        return step(definitions, branch.shadow, name) if branch.shadow is not None else None
    element = definition.elements.get(name)
    if element is None and branch.type == "Resource":
        # What is contained is nearly always a DomainResource; its type is not known here.
        element = definitions.types["DomainResource"].elements.get(name)
    if element is None and branch.type in ("Resource", "DomainResource"):
        return step(definitions, typed(branch), name)
    if element is None:
        return None
    return tuple(_branch(definitions, branch, element, named) for named in element.json_names())


def keep(branch: Branch, test: Run, type_name: str | None = None) -> Branch:
    """The branch with only those of its values that pass the test, as values of `type_name`."""
    run = branch.run

    def kept(focus: Any, resource: Any) -> Any:
        value = run(focus, resource)
        return value if value is not None and test(value, resource) is True else None

    def kept_of_list(focus: Any, resource: Any) -> Any:
        values = run(focus, resource)
        return values and [value for value in values if test(value, resource) is True]

    kept_run = kept_of_list if branch.is_list else kept
    return Branch(type_name or branch.type, kept_run, branch.is_list, branch.keys)


def _member(definitions: Definitions, before: Branch, name: str) -> Branch:
    values = many(before)

    def run(focus: Any, resource: Any) -> Sequence[Any]:
        return [
            found for value in values(focus, resource) for found in member(definitions, value, name)
        ]

    return Branch(DYNAMIC, run, True, before.keys)


def _branch(
    definitions: Definitions, before: Branch, element: Element, named: tuple[str, str]
) -> Branch:
    key, type_name = named
    is_primitive = definitions.types[type_name].kind == "primitive"
    shadow = _child(before, f"_{key}", element.is_list, "Element", True) if is_primitive else None
    child = _child(before, key, element.is_list, type_name, is_primitive)
    return Branch(type_name, child.run, child.is_list, child.keys, shadow, child.step)


def _child(before: Branch, key: str, is_list: bool, type_name: str, has_null: bool) -> Branch:
    is_start = before.step == ""
    if is_start:
        run = _list(key) if is_list else _value(key)
    elif before.is_list:
        run = _lists_of_list(before.run, key) if is_list else _values_of_list(before.run, key)
    else:
        run = _list_of_value(before.run, key) if is_list else _value_of_value(before.run, key)
    return Branch(
        type_name,
        _without_null(run) if is_list and has_null else run,
        is_list or before.is_list,
        frozenset((key,)) if is_start else before.keys,
        None,
        key if is_start and not is_list else None,
    )


def _value(key: str) -> Run:
    return lambda focus, resource: focus.get(key)  # noqa: ARG005


def _list(key: str) -> Run:
    return lambda focus, resource: focus.get(key, _NOTHING)  # noqa: ARG005


def _value_of_value(before: Run, key: str) -> Run:
    def run(focus: Any, resource: Any) -> Any:
        value = before(focus, resource)
        return None if value is None else value.get(key)

    return run


def _list_of_value(before: Run, key: str) -> Run:
    def run(focus: Any, resource: Any) -> Sequence[Any]:
        value = before(focus, resource)
        return _NOTHING if value is None else value.get(key, _NOTHING)

    return run


def _values_of_list(before: Run, key: str) -> Run:
    def run(focus: Any, resource: Any) -> Sequence[Any]:
        values = before(focus, resource)
        if not values:  # the usual case, and it saves the comprehension's own frame
            return _NOTHING
        return [found for value in values if (found := value.get(key)) is not None]

    return run


def _lists_of_list(before: Run, key: str) -> Run:
    def run(focus: Any, resource: Any) -> Sequence[Any]:
        values = before(focus, resource)
        if not values:
            return _NOTHING
        return [found for value in values for found in value.get(key, _NOTHING)]

    return run


def _without_null(before: Run) -> Run:
    def run(focus: Any, resource: Any) -> Sequence[Any]:
        values = before(focus, resource)
        return [value for value in values if value is not None] if None in values else values

    return run
