"""ICD-10 as the WHO publishes it, in ClaML: https://www.who.int/standards/classifications

Chapters, blocks and categories; where a category has its fourth character from a list of
modifiers, the codes that it makes are made. Entities are not declared in such files, and are
refused: a small file could unfold into gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from ehr_server.terminology.published.form import Concept, Head, ListError, code_system, concept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOT_SAID = {"Reference"}  # inside a label: codes to look at, no part of the name
_OF_CLASS = ("Class", "ModifierClass")


@dataclass(slots=True)
class _Class:
    """A Class, or a ModifierClass, whose `code` is only the end of one."""

    code: str
    modifier: str = ""
    parents: list[str] = field(default_factory=list)
    has_children: bool = False
    modified_by: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # language -> preferred label

    def name(self) -> str:
        return self.names.get("en") or next(iter(self.names.values()), "")


def read_claml(path: Path, head: Head) -> dict[str, Any]:
    """The CodeSystem of a ClaML file. Raises `ListError`."""
    reading = _Reading()
    with path.open("rb") as file:
        try:
            reading.parser.ParseFile(file)
        except expat.ExpatError as error:
            raise ListError(f"{path.name} is not well-formed XML: {error}") from None
    known = {one.code for one in reading.classes}
    concepts = [made for one in reading.classes for made in _concepts(one, reading, known)]
    version = head.version or reading.version
    return code_system(Head(head.system, version, head.name or reading.name), concepts)


def _concepts(one: _Class, reading: _Reading, known: set[str]) -> Iterator[Concept]:
    yield _concept(one.code, one.names, one.parents)
    if one.has_children:
        return
    for modifier in one.modified_by:
        for end in reading.modifiers.get(modifier, ()):
            code = one.code + end.code
            if code not in known:
                known.add(code)
                names = {
                    language: f"{one.names.get(language, one.name())}: {label}"
                    for language, label in end.names.items()
                }
                yield _concept(code, names, [one.code])


def _concept(code: str, names: dict[str, str], parents: list[str]) -> Concept:
    first = "en" if "en" in names else next(iter(names), "")
    made = concept(code, names.get(first, ""), parents)
    others = [{"language": one, "value": name} for one, name in names.items() if one != first]
    if others:
        made["designation"] = others
    return made


class _Reading:
    """The handlers of one parse."""

    def __init__(self) -> None:
        self.name = self.version = ""
        self.classes: list[_Class] = []
        self.modifiers: dict[str, list[_Class]] = {}
        self._class: _Class | None = None
        self._is_preferred = False
        self._language: str | None = None  # of the label that is being read
        self._silent = 0
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._said
        self.parser.EntityDeclHandler = _refuse_entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _OF_CLASS:
            code, modifier = attributes.get("code", ""), attributes.get("modifier", "")
            self._class = _Class(code, modifier)
            if name == "Class":
                self.classes.append(self._class)
            else:
                self.modifiers.setdefault(modifier, []).append(self._class)
        elif name == "Title":
            self.name, self.version = attributes.get("name", ""), attributes.get("version", "")
        elif self._class is not None:
            self._within(self._class, name, attributes)

    def _within(self, one: _Class, name: str, attributes: dict[str, str]) -> None:
        if name == "SuperClass" and not one.modifier:
            one.parents.append(attributes.get("code", ""))
        elif name == "SubClass":
            one.has_children = True
        elif name == "ModifiedBy":
            one.modified_by.append(attributes.get("code", ""))
        elif name == "Rubric":
            self._is_preferred = attributes.get("kind") == "preferred"
        elif name == "Label" and self._is_preferred:
            self._language, self._text = attributes.get("xml:lang", "en"), []
        elif name in _NOT_SAID:
            self._silent += 1

    def _end(self, name: str) -> None:
        if name in _NOT_SAID and self._silent:
            self._silent -= 1
        elif name == "Label" and self._language is not None and self._class is not None:
            self._class.names.setdefault(self._language, " ".join("".join(self._text).split()))
            self._language = None
        elif name in _OF_CLASS:
            self._class = None

    def _said(self, text: str) -> None:
        if self._language is not None and not self._silent:
            self._text.append(text)


def _refuse_entity(*_declared: object) -> None:
    raise ListError("it declares entities, which a code list has no need of")
