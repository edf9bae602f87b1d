"""The concepts of a code system, compact and by position: codes, displays, hierarchy, properties.

https://hl7.org/fhir/R4/codesystem.html. Nested concepts and the properties `parent` and `child`
make one hierarchy, in which a concept may have several parents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ehr_server.errors import Unprocessable
from ehr_server.identity.folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_STANDARD = "http://hl7.org/fhir/concept-properties#"
_GONE = {"inactive", "retired"}
_BETWEEN = "\x01"  # parts the texts that are folded in one go
MARKS = "-/.,;:()[]{}'\"+&_"  # part words, and are not searched for at their ends
_PARTED = str.maketrans(dict.fromkeys(MARKS, " "))


class Designation(NamedTuple):
    """Another name of a concept; `language` is "" where none is said."""

    language: str
    value: str
    use: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in FHIR."""
        said: dict[str, Any] = {"language": self.language} if self.language else {}
        if self.use is not None:
            said["use"] = self.use
        return {**said, "value": self.value}


class Property(NamedTuple):
    """What is said of a concept: `key` is the element it stands in, such as `valueCode`."""

    code: str
    key: str
    value: Any


@dataclass(eq=False)
class Concepts:
    """Concepts of one system in the order of the system; a position is an index into `codes`.

    `is_whole` says that a code which is not here does not exist. The mappings by position hold
    only what there is something to say about. The hierarchy is free of circles.
    """

    system: str
    version: str = ""
    name: str = ""
    language: str = ""
    is_whole: bool = True
    is_case_sensitive: bool = True
    has_subsumption: bool = True  # the hierarchy says which concept is a kind of which
    declared: frozenset[str] = frozenset()  # codes of properties and filters
    codes: list[str] = field(default_factory=list)
    displays: list[str] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    definitions: dict[int, str] = field(default_factory=dict)
    designations: dict[int, tuple[Designation, ...]] = field(default_factory=dict)
    properties: dict[int, tuple[Property, ...]] = field(default_factory=dict)
    inactive: set[int] = field(default_factory=set)
    abstract: set[int] = field(default_factory=set)

    def find(self, code: str) -> int | None:
        """The position of a code, in any case where the system does not mind case."""
        return self.at.get(code if self.is_case_sensitive else code.casefold())

    @cached_property
    def children(self) -> Mapping[int, Sequence[int]]:
        """Position -> positions directly below it."""
        below: dict[int, list[int]] = {}
        for position, parents in self.parents.items():
            for parent in parents:
                below.setdefault(parent, []).append(position)
        return below

    def below(self, position: int) -> set[int]:
        """The position itself and everything below it."""
        return _reached(position, self.children)

    def above(self, position: int) -> set[int]:
        """The position itself and everything above it."""
        return _reached(position, self.parents)

    @cached_property
    def searched(self) -> Sequence[str]:
        """By position, what `$expand` searches for words: every word after a space, folded."""
        whole = fold(_BETWEEN.join(self._texts()))
        bare = whole.translate(_PARTED)
        return [
            f" {text} {parted}" if text != parted else f" {text}"
            for text, parted in zip(whole.split(_BETWEEN), bare.split(_BETWEEN), strict=True)
        ]

    def display(self, position: int, language: str = "") -> str:
        """The display in a language (a BCP 47 tag), else the one of the system; "" if none."""
        if language and not _speaks(self.language, language):
            for one in self.designations.get(position, ()):
                if _speaks(one.language, language):
                    return one.value
        return self.displays[position]

    def names(self, position: int) -> Iterator[str]:
        """Everything a concept is called."""
        if self.displays[position]:
            yield self.displays[position]
        for one in self.designations.get(position, ()):
            yield one.value

    def _texts(self) -> Iterator[str]:
        for position, code in enumerate(self.codes):
            yield " ".join((code, *self.names(position))).replace(_BETWEEN, " ")


def concepts_of(
    resource: Mapping[str, Any], supplements: Iterable[Mapping[str, Any]] = ()
) -> Concepts:
    """The concepts of a CodeSystem, with what its supplements add.

    Raises `Unprocessable` where the hierarchy goes in a circle.
    """
    meaning = resource.get("hierarchyMeaning", "is-a")
    found = Concepts(
        resource.get("url", ""),
        resource.get("version", ""),
        resource.get("name") or resource.get("title") or resource.get("url", ""),
        resource.get("language", ""),
        is_whole=resource.get("content") == "complete",
        is_case_sensitive=resource.get("caseSensitive") is not False,
        has_subsumption=meaning in ("is-a", "classified-with"),
        declared=_declared(resource),
    )
    reading = _Reading(found, _roles(resource))
    for concept, parent in _walk(resource):
        reading.add(concept, parent)
    reading.finish()
    for supplement in supplements:
        found.declared |= _declared(supplement)
        extra = _Reading(found, _roles(supplement))
        for concept, _ in _walk(supplement):
            position = found.find(concept["code"])
            if position is not None:
                extra.describe(position, concept, supplement.get("language", ""))
    return found


class _Reading:
    """Concepts being read. Parents by code are settled at the end: they may come later."""

    def __init__(self, into: Concepts, roles: Mapping[str, str]) -> None:
        self._into = into
        self._roles = roles
        self._links: list[tuple[str, str]] = []  # child, parent

    def add(self, concept: Mapping[str, Any], parent: str | None) -> None:
        into, code = self._into, concept["code"]
        known = into.find(code)
        if known is None:
            position = len(into.codes)
            into.codes.append(code)
            into.displays.append(concept.get("display", ""))
            into.at[code if into.is_case_sensitive else code.casefold()] = position
            self.describe(position, concept)
            if "definition" in concept:
                into.definitions[position] = concept["definition"]
        if parent is not None:
            self._links.append((code, parent))

    def describe(self, position: int, concept: Mapping[str, Any], language: str = "") -> None:
        """Take in the designations and properties of a concept."""
        into = self._into
        if "designation" in concept:
            into.designations[position] = into.designations.get(position, ()) + tuple(
                Designation(one.get("language", language), one["value"], one.get("use"))
                for one in concept["designation"]
                if "value" in one
            )
        if "property" in concept:
            kept = [
                one for one in map(_property, concept["property"]) if not self._take(position, one)
            ]
            if kept:
                into.properties[position] = into.properties.get(position, ()) + tuple(kept)

    def finish(self) -> None:
        """Make the hierarchy."""
        into = self._into
        for child, parent in self._links:
            below, above = into.find(child), into.find(parent)
            if below is None or above is None or above in into.parents.get(below, ()):
                continue
            into.parents[below] = (*into.parents.get(below, ()), above)
        if self._links:
            _refuse_circle(into)

    def _take(self, position: int, one: Property) -> bool:
        """Whether the property is part of the hierarchy; notes what makes a concept unusable."""
        role = self._roles.get(one.code)
        code = self._into.codes[position]
        if role == "parent":
            self._links.append((code, str(one.value)))
        elif role == "child":
            self._links.append((str(one.value), code))
        elif (role == "inactive" and one.value is True) or (
            role == "status" and one.value in _GONE
        ):
            self._into.inactive.add(position)
        elif role == "notSelectable" and one.value is True:
            self._into.abstract.add(position)
        return role in ("parent", "child")


def _walk(resource: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Every concept, depth first, with the code that it stands in."""
    waiting = [(one, None) for one in reversed(resource.get("concept", ()))]
    while waiting:
        concept, parent = waiting.pop()
        if "code" not in concept:
            continue
        yield concept, parent
        for one in reversed(concept.get("concept", ())):
            waiting.append((one, concept["code"]))


def _property(one: Mapping[str, Any]) -> Property:
    for key, value in one.items():
        if key.startswith("value"):
            return Property(one.get("code", ""), key, value)
    return Property(one.get("code", ""), "valueString", "")


def _roles(resource: Mapping[str, Any]) -> dict[str, str]:
    """Code of a property -> the standard's own it stands for, by address or by name:
    https://hl7.org/fhir/R4/codesystem.html#defined-props."""
    roles = {name: name for name in ("parent", "child", "inactive", "status", "notSelectable")}
    roles["abstract"] = "notSelectable"
    for one in resource.get("property", ()):
        uri = one.get("uri", "")
        if uri.startswith(_STANDARD) and "code" in one:
            roles[one["code"]] = uri.removeprefix(_STANDARD)
    return roles


def _declared(resource: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        one["code"]
        for part in ("property", "filter")
        for one in resource.get(part, ())
        if "code" in one
    )


def _reached(start: int, links: Mapping[int, Sequence[int]]) -> set[int]:
    reached, waiting = {start}, [start]
    while waiting:
        for one in links.get(waiting.pop(), ()):
            if one not in reached:
                reached.add(one)
                waiting.append(one)
    return reached


def _refuse_circle(concepts: Concepts) -> None:
    """Take away, from the top, what has all its parents taken away: a circle remains."""
    open_ = {position: len(parents) for position, parents in concepts.parents.items()}
    waiting = [at for at in range(len(concepts.codes)) if at not in open_]
    while waiting:
        for child in concepts.children.get(waiting.pop(), ()):
            open_[child] -= 1
            if not open_[child]:
                del open_[child]
                waiting.append(child)
    if open_:
        code = concepts.codes[next(iter(open_))]
        raise Unprocessable(
            f"The hierarchy of {concepts.system} goes in a circle at the code {code}.",
            vi=f"Phân cấp của {concepts.system} đi thành vòng tại mã {code}.",
        )


def _speaks(language: str, wanted: str) -> bool:
    """Whether a text in a language serves one who wants another: `vi-VN` serves `vi`."""
    return bool(language) and language.split("-")[0].lower() == wanted.split("-")[0].lower()
