"""A profile's tree while it is made: the parent's nodes, opened where the differential leads.

https://hl7.org/fhir/R4/profiling.html#slicing. A draft is one element or slice; it knows its
place, so that paths are checked against the types, and makes the draft of the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from ehr_server.definitions.differential import Entry
from ehr_server.definitions.model import Element, definitions
from ehr_server.definitions.narrowing import Frame, canonicals, narrowed, type_choices
from ehr_server.definitions.profile import Discriminator, Node, Profile, Slicing, TypeChoice

Find = Callable[[str], Profile | None]

_BY_URL = Slicing((Discriminator("value", "url"),), False, "open")
_BY_TYPE = Slicing((Discriminator("type", "$this"),), False, "open")
_BY_ONE_TYPE = Slicing((Discriminator("type", "$this"),), False, "closed")
_EXTENSIONS = ("extension", "modifierExtension")


@dataclass(slots=True)
class Draft:
    """An element (`name` as in its type) or a slice (`name` of the slice, below its list)."""

    node: Node
    name: str
    above: Draft | None = None
    element: Element | None = None  # None: the root
    is_slice: bool = False
    children: dict[str, Draft] = field(default_factory=dict)
    slices: dict[str, Draft] = field(default_factory=dict)
    shortened: tuple[TypeChoice, ...] = ()  # the types allowed before valueQuantity was a path

    def choices(self) -> tuple[TypeChoice, ...]:
        """The types it may have."""
        if self.node.types:
            return self.node.types
        if self.is_slice and self.above is not None:
            return self.above.choices()
        return type_choices(self.element.types if self.element else (self.name,))

    def child(self, name: str, entry: Entry) -> Draft:
        """The element below it of that name; of `valueQuantity`, the slice of `value`.

        Raises `ProfileError` if one of its types has no such element.
        """
        found = {self._element(choice.code, name) for choice in self.choices()}
        if len(found) == 1 and (element := found.pop()) is not None:
            return self._opened(element)
        short = {_short(choice.code, name) for choice in self.choices()}
        if len(short) == 1 and (pair := short.pop()) is not None:
            return self._opened(pair[0])._shortcut(name, pair[1], entry)
        codes = ", ".join(choice.code for choice in self.choices())
        raise entry.wrong(f"{codes} has no element {name}", f"{codes} không có phần tử {name}")

    def slice(self, name: str, entry: Entry, find: Find) -> Draft:
        """Its slice of that name, a new one if need be.

        What cannot repeat and is no choice has no slices: the name is one for the element itself,
        as in some profiles of the standard. Raises `ProfileError` if nothing says how the slices
        are told apart.
        """
        if name in self.slices:
            return self.slices[name]
        if not self.is_slice and self._is_alone() and self.node.slicing is None:
            return self
        node = self.node.slices.get(name)
        if self.node.slicing is None:
            self.node = replace(self.node, slicing=self._implied_slicing(entry, find))
        if node is None:
            # Of a reslice the name holds that of the slice it is cut from: `a/b`.
            whole = self.node.id.rpartition(":")[0] if self.is_slice else self.node.id
            node = Node(f"{whole}:{name}", self.node.path, types=self._types_of_slice(name, entry))
        draft = Draft(node, name, self, self.element, is_slice=True)
        self.slices[name] = draft
        return draft

    def narrow(self, entry: Entry) -> None:
        """Adds what an entry says. Raises `ProfileError` for what cannot be."""
        self.node = narrowed(self.node, entry, self._frame())

    def frozen(self) -> Node:
        """The node with all below it; elements of which nothing is said are left out."""
        children = {name: draft.frozen() for name, draft in self.children.items()}
        slices = {name: draft.frozen() for name, draft in self.slices.items()}
        if not children and not slices:
            return self.node
        kept = {name: node for name, node in children.items() if node != Node(node.id, node.path)}
        return replace(
            self.node,
            children=MappingProxyType({**self.node.children, **kept}),
            slices=MappingProxyType({**self.node.slices, **slices}),
        )

    def _element(self, type_name: str, name: str) -> Element | None:
        found = definitions().types.get(type_name)
        return found.elements.get(name) if found else None

    def _opened(self, element: Element) -> Draft:
        if element.name not in self.children:
            node = self.node.children.get(element.name)
            if node is None:
                step = f"{element.name}[x]" if element.is_choice else element.name
                node = Node(f"{self.node.id}.{step}", f"{self.node.path}.{step}")
            self.children[element.name] = Draft(node, element.name, self, element)
        return self.children[element.name]

    def _shortcut(self, name: str, type_name: str, entry: Entry) -> Draft:
        """The slice `valueQuantity` of a choice, which is no other type then: so the snapshots of
        the standard read such a path, in which later editions write `value[x]:valueQuantity`."""
        if name in self.node.slices or name in self.slices:
            return self.slice(name, entry, _nothing)
        allowed = self.shortened or self.choices()
        choice = self._allowed(type_name, allowed, entry)
        types = (*self.node.types, choice) if self.shortened else (choice,)
        self.shortened = allowed
        self.node = replace(
            self.node,
            types=() if len(types) == len(type_choices(self._own_types())) else types,
            slicing=self.node.slicing or _BY_ONE_TYPE,
        )
        return self.slice(name, entry, _nothing)

    def _own_types(self) -> tuple[str, ...]:
        return self.element.types if self.element else (self.name,)

    def _is_alone(self) -> bool:
        return not self.element or not (self.element.is_list or self.element.is_choice)

    def _types_of_slice(self, name: str, entry: Entry) -> tuple[TypeChoice, ...]:
        """What the name of a slice says of its type: `valueQuantity`."""
        if self.element is None or not self.element.is_choice:
            return ()
        code = dict(self.element.json_names()).get(name)
        return (self._allowed(code, self.choices(), entry),) if code else ()

    def _allowed(self, code: str, choices: tuple[TypeChoice, ...], entry: Entry) -> TypeChoice:
        """The choice of that type. Raises `ProfileError` if it is not among them."""
        for choice in choices:
            if choice.code == code:
                return choice
        codes = ", ".join(one.code for one in choices)
        raise entry.wrong(f"the type {code} is none of {codes}", f"kiểu {code} không thuộc {codes}")

    def _implied_slicing(self, entry: Entry, find: Find) -> Slicing:
        if not self.is_slice and self.name in _EXTENSIONS:
            return _BY_URL
        if self.element is not None and self.element.is_choice and not self.is_slice:
            return _BY_TYPE
        for node in self._in_profiles_of_types(find):
            if node.slicing is not None:
                return node.slicing
        raise entry.wrong(
            "a slice, but nothing says how the slices are told apart",
            "là một lát (slice) nhưng không nêu cách phân biệt các lát",
        )

    def _in_profiles_of_types(self, find: Find) -> Iterator[Node]:
        """Its nodes in the profiles that it, or an element around it, is typed by."""
        if self.above is not None:
            for node in self.above._in_profiles_of_types(find):
                inner = (node.slices if self.is_slice else node.children).get(self.name)
                if inner is not None:
                    yield inner
        choices = self.choices()
        if len(choices) == 1 and len(choices[0].profiles) == 1:
            profile = find(choices[0].profiles[0])
            if profile is not None:
                yield profile.root

    def _frame(self) -> Frame:
        if self.element is None or self.above is None:
            of = definitions().types[self.name]
            known = frozenset(one.key for one in of.constraints)
            choices = type_choices((self.name,))
            return Frame(0, None, choices, known=known, is_counted=of.kind != "resource")
        element = self.element
        if not self.is_slice:
            choices, least, most = type_choices(element.types), element.min, element.max
        else:
            cut_from = self.above.node
            most = element.max if cut_from.max is None else cut_from.max
            choices, least = self.above.choices(), 0
        known = _keys(element.types) | {one.key for one in element.constraints}
        targets = canonicals(element.targets)
        is_type = self.is_slice and element.is_choice
        return Frame(least, most, choices, targets, element.binding, known, is_type)


def _nothing(_canonical: str) -> None:
    return None


@cache
def _keys(types: tuple[str, ...]) -> frozenset[str]:
    """The keys of the constraints that types have themselves."""
    return frozenset(one.key for name in types for one in definitions().types[name].constraints)


@cache
def _shortcuts(type_name: str) -> Mapping[str, tuple[Element, str]]:
    """`valueQuantity` -> the choice and the type."""
    of = definitions().types.get(type_name)
    return {
        name: (element, code)
        for element in (of.elements.values() if of else ())
        if element.is_choice
        for name, code in element.json_names()
    }


def _short(type_name: str, name: str) -> tuple[Element, str] | None:
    return _shortcuts(type_name).get(name)
