"""A profile as a sparse tree: only the elements that it narrows, and how.

https://hl7.org/fhir/R4/profiling.html. What a profile says beyond the type it constrains is little
beside the type itself, so the tree holds that alone: a node is an element of the type (or a slice
of it) with what the profile and those it derives from ask of it. `definitions.snapshot` makes the
tree from differentials; the validation walks it beside the definitions of the types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from ehr_server.definitions.model import Constraint

Strength = Literal["required", "extensible"]
DiscriminatorKind = Literal["value", "exists", "pattern", "type", "profile"]

_NONE: Mapping[str, Any] = MappingProxyType({})


class ProfileError(ValueError):
    """A profile that cannot be used; the text names it, the element, and what is wrong.

    `vi` is the text in Vietnamese, "" where there is none.
    """

    def __init__(self, text: str, vi: str = "") -> None:
        super().__init__(text)
        self.vi = vi


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """One type an element may have: `code` such as `Quantity`, `Reference`, `Extension`, or, of a
    Bundle's entry, a resource type.

    `profiles`: the value keeps to one of them; () is no more than the type. `targets`: the
    profiles (or, as `http://hl7.org/fhir/StructureDefinition/Patient`, types) one of which a
    Reference or canonical leads to; () is any.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """The value set a code is from; weaker bindings than these two are advice and left out."""

    strength: Strength
    value_set: str


@dataclass(frozen=True, slots=True)
class Discriminator:
    """What tells the slices apart: `path` as written, `$this`, `code`, `resolve()`, ..."""

    kind: DiscriminatorKind
    path: str


@dataclass(frozen=True, slots=True)
class Slicing:
    """How a list (or the types of a choice) is divided.

    `rules`: `open` lets what is in no slice stand anywhere, `openAtEnd` after all slices, `closed`
    not at all. Without discriminators the slices are told apart by nothing that can be checked.
    """

    discriminators: tuple[Discriminator, ...]
    is_ordered: bool
    rules: Literal["open", "openAtEnd", "closed"]


@dataclass(frozen=True, slots=True)
class Node:
    """An element of a profile, or a slice of one.

    `path` is that of the type (`Patient.identifier`, `Observation.value[x]`); `id` that of the
    profile, which names the slices (`Patient.identifier:cccd.system`). What the profile leaves as
    it is in the type is None, "" or empty. `min` and `max` None: as in the type; of a slice, of
    its own items. `types` () : as in the type. `fixed` and `pattern` are JSON values, None is
    neither. `least` and `most` are minValue and maxValue, JSON values too.

    `children` are by the name in the type, choices without `[x]` (a choice that is narrowed for
    one type, such as valueQuantity, is a slice of the choice). `slices` are by name in the order
    of the profile; a slice of a slice (reslicing) lies in the slices of the first, by its whole
    name `a/b`.
    What holds of a list holds of each slice too and is not repeated in it.
    """

    id: str
    path: str
    min: int | None = None
    max: int | None = None
    types: tuple[TypeChoice, ...] = ()
    fixed: Any = None
    pattern: Any = None
    least: Any = None
    most: Any = None
    length_max: int | None = None
    binding: Binding | None = None
    constraints: tuple[Constraint, ...] = ()  # those that the profile adds
    slicing: Slicing | None = None
    slices: Mapping[str, Node] = field(default_factory=lambda: _NONE)
    children: Mapping[str, Node] = field(default_factory=lambda: _NONE)

    def below(self) -> Iterator[Node]:
        """This node and all nodes in it."""
        yield self
        for node in (*self.slices.values(), *self.children.values()):
            yield from node.below()


@dataclass(frozen=True, slots=True)
class Context:
    """Where an extension may stand: `element` an element or type, `extension` in another
    extension (its url), `fhirpath` where the expression is true."""

    kind: Literal["element", "extension", "fhirpath"]
    expression: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A constraint on a type: of a resource, a data type, or (`contexts`) an extension.

    `parents` are the profiles it derives from, nearest first, without the type itself. `applies`
    is a FHIRPath criterion (the extension `applies-when`, our own): resources of the type for
    which it is true are held to the profile though they do not claim it; None: only if claimed.
    `is_modifier`: of an extension that may change the meaning of what it stands in.
    """

    url: str
    version: str
    type: str
    parents: tuple[str, ...]
    root: Node
    contexts: tuple[Context, ...] = ()
    is_modifier: bool = False
    applies: str | None = None
