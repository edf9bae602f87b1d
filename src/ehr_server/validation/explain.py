"""The explanation: what is wrong with a resource, where, and how to mend it.

A walk over the definitions (https://hl7.org/fhir/R4/json.html), authoritative where the gate is
only quick. It costs about a hundred times as much as the gate, so it runs where that said no.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.fhir.outcome import ISSUES_MAX
from ehr_server.issue import Issue
from ehr_server.validation import bindings, links, messages, references, values
from ehr_server.validation.rules import Rule, element_rules, rules
from ehr_server.validation.rules.texts import text_of
from ehr_server.validation.schema import has_sibling

if TYPE_CHECKING:
    from ehr_server.definitions import Element, TypeDefinition


def explain(resource: Any) -> list[Issue]:
    """All that is wrong with the resource and the resources in it; [] if it is valid.

    The walk stops after a hundred findings, as many as an OperationOutcome holds.
    """
    walk = _Walk()
    walk.resource(resource, "")
    return walk.found[:ISSUES_MAX]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A type as the walk needs it: its names in JSON, what it must have, what excludes what."""

    names: dict[str, tuple[Element, str]]  # `_name` included
    required: tuple[tuple[Element, frozenset[str]], ...]  # any one of the names will do
    choices: tuple[tuple[Element, tuple[str, ...]], ...]


@cache
def _shape(type_name: str) -> _Shape:
    names = {}
    required = []
    choices = []
    for element in definitions().types[type_name].elements.values():
        own = {}
        for name, of in element.json_names():
            own[name] = (element, of)
            if has_sibling(element, of):
                own[f"_{name}"] = (element, of)
        if element.min:
            required.append((element, frozenset(own)))
        if element.is_choice:
            choices.append((element, tuple(name for name, _ in element.json_names())))
        names.update(own)
    return _Shape(names, tuple(required), tuple(choices))


class _Walk:
    """Collects findings. Each method takes a value and its place, a FHIRPath location."""

    def __init__(self) -> None:
        self.found: list[Issue] = []

    def _is_full(self) -> bool:
        return len(self.found) >= ISSUES_MAX

    def resource(self, resource: Any, place: str, *, is_contained: bool = False) -> None:
        """`place` of the outermost resource is "": then its type is the place."""
        if not isinstance(resource, dict):
            self.found.append(messages.not_a_resource(place or "Resource"))
            return
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in definitions().type_number:
            here = place or "Resource"
            types = definitions().resource_types
            self.found.append(
                messages.no_resource_type(here)
                if name is None
                else messages.unknown_resource_type(here, name, types)
            )
            return
        self._object(resource, definitions().types[name], place or name)
        if not is_contained:
            self._links(resource, place or name)

    def _links(self, resource: dict[str, Any], place: str) -> None:
        for below in links.dangling(resource):
            self.found.append(messages.dangling_link(place + below))
        for at in links.orphans(resource):
            self.found.append(messages.orphan(f"{place}.contained[{at}]"))
        for at in links.doubles(resource):
            self.found.append(messages.id_used_twice(f"{place}.contained[{at}].id"))

    def _object(self, value: Any, definition: TypeDefinition, place: str) -> None:
        if not isinstance(value, dict):
            self.found.append(messages.not_an_object(place, definition.name))
            return
        before = len(self.found)
        self._elements(value, definition, place)
        self._presence(value, definition, place)
        is_element = definition.kind != "resource"
        if is_element and not value.keys() - {"id"} and len(self.found) == before:
            self.found.append(messages.nothing_in_it(place))
        if len(self.found) == before:
            self._rules(value, rules(definition.name), place)
        if definition.name == "Extension":
            self._extension(value, place)

    def _elements(self, value: dict[str, Any], definition: TypeDefinition, place: str) -> None:
        names = _shape(definition.name).names
        for name, child in value.items():
            if self._is_full():
                return
            if name == "resourceType" and definition.kind == "resource":
                continue
            if name not in names:
                self.found.append(
                    messages.unknown_element(place, name, definition.name, names.keys())
                )
                continue
            element, type_name = names[name]
            here = f"{place}.{element.name}"
            plain = name.removeprefix("_")
            if element.is_list:
                if name == plain or plain not in value:
                    self._list(element, type_name, value, plain, here)
            elif isinstance(child, list):
                self.found.append(messages.not_single(here))
            elif name == plain:
                self._value(child, element, type_name, here)
            else:
                self._sibling(child, type_name, here, has_value=plain in value)

    def _presence(self, value: dict[str, Any], definition: TypeDefinition, place: str) -> None:
        shape = _shape(definition.name)
        for element, names in shape.required:
            if names.isdisjoint(value):
                shown = f"{element.name}[x]" if element.is_choice else element.name
                self.found.append(messages.missing(place, element.name, shown, definition.name))
        for element, choices in shape.choices:
            there = [name for name in choices if name in value or f"_{name}" in value]
            if len(there) > 1:
                self.found.append(messages.several_choices(f"{place}.{element.name}", there))

    def _list(
        self, element: Element, type_name: str, value: dict[str, Any], name: str, place: str
    ) -> None:
        """A list, with the list of `_name` beside it if there is one."""
        items, siblings = value.get(name), value.get(f"_{name}")
        for several in (items, siblings):
            if several is not None and not isinstance(several, list):
                self.found.append(messages.not_a_list(place))
                return
        if items == [] or siblings == [] or (items is None and siblings is None):
            self.found.append(messages.nothing_in_it(place))
            return
        count = len(items or siblings or ())
        if items is not None and siblings is not None and len(items) != len(siblings):
            self.found.append(messages.uneven_lists(place, name))
            return
        if element.max is not None and count > element.max:
            self.found.append(messages.too_many(place, element.max))
        for at in range(count):
            if self._is_full():
                return
            item = items[at] if items is not None else None
            sibling = siblings[at] if siblings is not None else None
            here = f"{place}[{at}]"
            if item is not None or sibling is None:
                self._value(item, element, type_name, here)
            if sibling is not None:
                self._sibling(sibling, type_name, here, has_value=item is not None)

    def _value(self, value: Any, element: Element, type_name: str, place: str) -> None:
        if type_name == "Resource":
            self.resource(value, place, is_contained=element.name == "contained")
            return
        before = len(self.found)
        if type_name not in PRIMITIVES:
            self._object(value, definitions().types[type_name], place)
        elif (finding := values.finding(value, _format(element, type_name), place)) is not None:
            self.found.append(finding)
        if len(self.found) > before:
            return
        if type_name == "Reference":
            self._reference(value, element, place)
        if element.binding is not None:
            self.found.extend(bindings.findings(value, element.binding, type_name, place))
        self._rules(value, element_rules(element, type_name), place)

    def _sibling(self, value: Any, type_name: str, place: str, *, has_value: bool) -> None:
        """`_name`: without a value beside it there must be an extension (ele-1)."""
        if has_value and isinstance(value, dict) and value.keys() == {"id"}:
            self._value(value["id"], definitions().types["Element"].elements["id"], "string", place)
        else:
            self._object(value, definitions().types[type_name], place)

    def _reference(self, value: dict[str, Any], element: Element, place: str) -> None:
        link = value.get("reference")
        if link is not None and not references.is_sound(link, element.targets):
            self.found.append(messages.wrong_reference(f"{place}.reference", element.targets))

    def _extension(self, value: dict[str, Any], place: str) -> None:
        has_value = any(name.lstrip("_").startswith("value") for name in value)
        if has_value == ("extension" in value):
            self.found.append(messages.value_or_extensions(place))

    def _rules(self, value: Any, own: tuple[Rule, ...], place: str) -> None:
        for rule in own:
            if not rule.applies(value) or rule.holds(value):
                continue
            self.found.append(
                messages.broken_rule(place, rule.key, *text_of(rule.key, rule.expression))
            )


def _format(element: Element, type_name: str) -> str:
    """An element's own id is a string without spaces, which is the format of a uri."""
    return "uri" if element.is_bare and type_name == "string" else type_name
