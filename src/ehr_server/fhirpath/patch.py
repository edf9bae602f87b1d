"""FHIRPath Patch: operations on the elements that a path selects, in a Parameters resource.

https://hl7.org/fhir/R4/fhirpatch.html. Each operation is a parameter `operation` with parts: type,
path, and of name, value, index, source and destination what the type needs. The result is checked
as any resource that is sent, so what is wrong with a value's type is found there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.errors import Invalid, Unprocessable
from ehr_server.fhir.patch import refuse_too_many
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.locate import Spot, locate
from ehr_server.redact import without_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ehr_server.definitions import Element
    from ehr_server.fhir.patch import Patch

_SHOWN_MAX = 200  # characters of a path that are told
_PLAIN = {"type": "valueCode", "path": "valueString", "name": "valueString"}
_NUMBERS = ("index", "source", "destination")


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation as it was sent; `where` is its place in the Parameters resource."""

    where: str
    type: str
    path: str
    name: str = ""
    value: Mapping[str, Any] | None = None  # the part as sent: it has value[x], or parts
    numbers: Mapping[str, int] = field(default_factory=dict)


def fhirpath_patch(parameters: dict[str, Any]) -> Patch:
    """The patch that a Parameters resource asks for.

    Raises `Invalid`, with the place, for an operation that is malformed. The patch raises
    `Unprocessable` where a path does not select what the operation needs.
    """
    several = parameters.get("parameter")
    if parameters.get("resourceType") != "Parameters" or not isinstance(several, list):
        raise Invalid(
            "A FHIRPath Patch is a Parameters resource with parameters named operation.",
            vi="FHIRPath Patch là tài nguyên Parameters gồm các tham số tên operation.",
        )
    refuse_too_many(several)
    operations = [_read(f"Parameters.parameter[{at}]", one) for at, one in enumerate(several)]

    def patch(resource: dict[str, Any]) -> dict[str, Any]:
        for operation in operations:
            try:
                _DEEDS[operation.type](operation, resource)
            except RecursionError:
                raise _malformed(operation.where, "a shorter path") from None
            except FHIRPathError as error:
                text = without_numbers(f"{operation.path[:_SHOWN_MAX]}: {error.text}.")
                raise Unprocessable(
                    f"The path cannot be followed: {text}",
                    vi=f"Không đi theo được đường dẫn: {text}",
                    expression=(operation.where,),
                ) from None
        return resource

    return patch


def _read(where: str, parameter: Any) -> _Operation:
    parts = parameter.get("part") if isinstance(parameter, dict) else None
    if not isinstance(parts, list) or parameter.get("name") != "operation":
        raise _malformed(where, "a parameter named operation, with parts")
    objects = [part for part in parts if isinstance(part, dict)]
    named = {part["name"]: part for part in objects if isinstance(part.get("name"), str)}
    texts = {name: named.get(name, {}).get(element, "") for name, element in _PLAIN.items()}
    are_texts = all(isinstance(text, str) for text in texts.values())
    if not are_texts or texts["type"] not in _DEEDS or not texts["path"]:
        raise _malformed(where, f"a type ({', '.join(_DEEDS)}) and a path")
    numbers = {name: named[name].get("valueInteger", -1) for name in _NUMBERS if name in named}
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise _malformed(where, "whole numbers for index, source and destination")
    found = _Operation(where, **texts, value=named.get("value"), numbers=numbers)
    missing = [name for name in _NEEDED[found.type] if name not in named]
    if missing:
        raise _malformed(where, f"{' and '.join(missing)} for {found.type}")
    return found


def _malformed(where: str, wanted: str) -> Invalid:
    return Invalid(
        f"An operation of a FHIRPath Patch needs {wanted}.",
        vi=f"Thao tác FHIRPath Patch cần có {wanted}.",
        expression=(where,),
    )


def _add(operation: _Operation, resource: dict[str, Any]) -> None:
    """At the end of a list, or as the one value of an element that has none yet."""
    spot = _one(operation, resource)
    if not isinstance(spot.value, dict):
        raise _refused(operation, "selects a primitive value, to which nothing can be added")
    key, element = _named(operation, spot)
    if element.is_list:
        spot.value.setdefault(key, []).append(_value(operation, element))
        if f"_{key}" in spot.value:
            spot.value[f"_{key}"].append(None)
        return
    if any(name in spot.value or f"_{name}" in spot.value for name, _ in element.json_names()):
        raise _refused(operation, f"has {operation.name} already; replace it instead")
    spot.value[key] = _value(operation, element)


def _insert(operation: _Operation, resource: dict[str, Any]) -> None:
    holder, key, element = _list(operation, resource)
    index = operation.numbers["index"]
    if index > len(holder[key]):
        raise _refused(operation, f"has {len(holder[key])} elements, fewer than the index")
    holder[key].insert(index, _value(operation, element))
    if f"_{key}" in holder:
        holder[f"_{key}"].insert(index, None)


def _delete(operation: _Operation, resource: dict[str, Any]) -> None:
    """What is not found is deleted already."""
    spots = locate(operation.path, resource)
    if not spots:
        return
    spot = _one(operation, resource)
    if spot.holder is None:
        raise _refused(operation, "selects the whole resource; delete that by DELETE")
    for name in (spot.key, f"_{spot.key}"):
        if name not in spot.holder:
            continue
        if spot.at is not None:
            del spot.holder[name][spot.at]
        if spot.at is None or all(one is None for one in spot.holder[name]):
            del spot.holder[name]


def _replace(operation: _Operation, resource: dict[str, Any]) -> None:
    spot = _one(operation, resource)
    if spot.holder is None or spot.element is None:
        raise _refused(operation, "selects the whole resource; replace that by PUT")
    value = _value(operation, spot.element)
    shadow = f"_{spot.key}"
    if spot.at is not None:
        spot.holder[spot.key][spot.at] = value
        if shadow in spot.holder:
            spot.holder[shadow][spot.at] = None
        return
    key = _key_of(operation, spot.element) if spot.element.is_choice else spot.key
    spot.holder.pop(shadow, None)
    del spot.holder[spot.key]
    spot.holder[key] = value


def _move(operation: _Operation, resource: dict[str, Any]) -> None:
    holder, key, _ = _list(operation, resource)
    source, destination = operation.numbers["source"], operation.numbers["destination"]
    if max(source, destination) >= len(holder[key]):
        raise _refused(operation, f"has {len(holder[key])} elements, none at that index")
    for name in (key, f"_{key}"):
        if name in holder:
            holder[name].insert(destination, holder[name].pop(source))


def _one(operation: _Operation, resource: dict[str, Any]) -> Spot:
    spots = locate(operation.path, resource)
    if len(spots) != 1:
        raise _refused(operation, f"selects {len(spots)} elements, but must select one")
    return spots[0]


def _list(operation: _Operation, resource: dict[str, Any]) -> tuple[dict[str, Any], str, Element]:
    """The list that a path selects, all of it: its holder, its key and its element."""
    spots = locate(operation.path, resource)
    lists = {(id(spot.holder), spot.key) for spot in spots}
    first = spots[0] if spots else None
    if first is None or first.holder is None or first.element is None or first.at is None:
        raise _refused(operation, "selects no list; add makes the first element of one")
    if len(lists) > 1 or len(spots) != sum(one is not None for one in first.holder[first.key]):
        raise _refused(operation, "must select one list, as a whole")
    return first.holder, first.key, first.element


def _refused(operation: _Operation, why: str) -> Unprocessable:
    path = without_numbers(operation.path)[:_SHOWN_MAX]
    return Unprocessable(
        f"{operation.type}: the path {path} {why}. Nothing was changed.",
        vi=f"{operation.type}: đường dẫn {path} không phù hợp ({why}). Chưa có gì thay đổi.",
        expression=(operation.where,),
    )


def _named(operation: _Operation, spot: Spot) -> tuple[str, Element]:
    """The key to add at: of a choice the name may be with its type or without, `value[x]` too."""
    definition = definitions().types.get(spot.type)
    name = operation.name.removesuffix("[x]")
    for element in definition.elements.values() if definition else ():
        if element.name == name:
            return (_key_of(operation, element) if element.is_choice else name), element
        if element.is_choice and any(key == name for key, _ in element.json_names()):
            return name, element
    raise _refused(operation, f"is a {spot.type}, which has no element {operation.name}")


def _key_of(operation: _Operation, element: Element) -> str:
    """The key of a choice by the type of the value."""
    sent = next((key for key in operation.value or () if key.startswith("value")), "")
    suffix = sent.removeprefix("value")
    for key, _ in element.json_names():
        if key == element.name + suffix:
            return key
    raise _refused(operation, f"takes no value of the type {suffix or 'of these parts'}")


def _value(operation: _Operation, element: Element) -> Any:
    """The value that was sent: of a type that parameters have, or in parts for a backbone."""
    value = _sent(operation.value or {}, element.types[0])
    if value is None:
        raise _malformed(operation.where, "a value: value[x], or parts")
    return value


def _sent(part: Mapping[str, Any], type_name: str) -> Any:
    plain = [value for key, value in part.items() if key.startswith("value")]
    if plain:
        return plain[0]
    if "resource" in part:
        return part["resource"]
    inner = part.get("part")
    if not isinstance(inner, list):
        return None
    return dict(_members(inner, type_name))


def _members(parts: list[Any], type_name: str) -> Iterator[tuple[str, Any]]:
    """The elements that parts stand for, those of one name as a list if the type has a list."""
    definition = definitions().types.get(type_name)
    lists: dict[str, list[Any]] = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            continue
        element = definition.elements.get(name) if definition else None
        value = _sent(part, element.types[0] if element else "")
        if element is not None and element.is_list:
            lists.setdefault(name, []).append(value)
        elif element is not None and element.is_choice:
            key = next((k for k in part if k.startswith("value")), "value")
            yield name + key.removeprefix("value"), value
        else:
            yield name, value
    yield from lists.items()


_DEEDS: dict[str, Callable[[_Operation, dict[str, Any]], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
_NEEDED = {
    "add": ("name", "value"),
    "insert": ("index", "value"),
    "delete": (),
    "replace": ("value",),
    "move": ("source", "destination"),
}
