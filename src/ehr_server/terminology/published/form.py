"""The form that all code lists are brought into: https://hl7.org/fhir/R4/codesystem.html"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

Concept = dict[str, Any]

_URI = "http://hl7.org/fhir/concept-properties#"
_STANDARD = {
    "parent": {"code": "parent", "uri": f"{_URI}parent", "type": "code"},
    "inactive": {"code": "inactive", "uri": f"{_URI}inactive", "type": "boolean"},
}
_BOM = "utf-8-sig"  # spreadsheets put a mark before the first name


class ListError(Exception):
    """A file is not the code list it is said to be; the text says why, with the line."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is said of a code list as a whole; `version` and `name` "" if nothing is said."""

    system: str
    version: str = ""
    name: str = ""
    is_case_sensitive: bool = True


def code_system(head: Head, concepts: Sequence[Concept]) -> dict[str, Any]:
    """The CodeSystem of a list. Raises `ListError` for a code that stands twice, a parent that is
    not there, and a list without codes."""
    codes = {one["code"] for one in concepts}
    if not codes:
        raise ListError("there are no codes in it")
    if len(codes) < len(concepts):
        ((twice, _),) = Counter(one["code"] for one in concepts).most_common(1)
        raise ListError(f"the code {twice} stands in it twice")
    for one in concepts:
        for property_ in one.get("property", ()):
            if property_["code"] == "parent" and property_["valueCode"] not in codes:
                parent = property_["valueCode"]
                raise ListError(f"the parent {parent} of {one['code']} is not in it")
    resource: dict[str, Any] = {"resourceType": "CodeSystem", "url": head.system}
    if head.version:
        resource["version"] = head.version
    resource |= {
        "name": head.name or _name_of(head.system),
        "status": "active",
        "caseSensitive": head.is_case_sensitive,
        "hierarchyMeaning": "is-a",
        "content": "complete",
        "count": len(concepts),
        "property": list(_declared(concepts)),
        "concept": concepts,
    }
    return resource


def concept(
    code: str, display: str, parents: Iterable[str] = (), *, is_inactive: bool = False
) -> Concept:
    """A concept with its place in the hierarchy."""
    made: Concept = {"code": code}
    if display:
        made["display"] = display
    properties: list[dict[str, Any]] = [
        {"code": "parent", "valueCode": one} for one in dict.fromkeys(parents)
    ]
    if is_inactive:
        properties.append({"code": "inactive", "valueBoolean": True})
    if properties:
        made["property"] = properties
    return made


@contextmanager
def rows(path: Path, delimiter: str, *, is_quoted: bool = True) -> Iterator[csv.DictReader[str]]:
    """The rows of a table with a first line of names, in UTF-8. Raises `ListError`."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE
    try:
        with path.open(encoding=_BOM, newline="") as file:
            yield csv.DictReader(file, delimiter=delimiter, quoting=quoting, restval="")
    except UnicodeDecodeError:
        raise ListError(f"{path.name} is not in UTF-8") from None
    except csv.Error as error:
        raise ListError(f"{path.name} is no table: {error}") from None


def columns(table: csv.DictReader[str], path: Path, *needed: str) -> None:
    """Raises `ListError` where a column that is needed is not there."""
    names = table.fieldnames or ()
    missing = [one for one in needed if one not in names]
    if missing:
        raise ListError(f"{path.name} has no column {', '.join(missing)}")


def _name_of(system: str) -> str:
    """`http://hl7.org/fhir/sid/icd-10` is named icd-10."""
    return system.rstrip("/").rpartition("/")[2] or system


def _declared(concepts: Iterable[Concept]) -> Iterator[dict[str, str]]:
    used: dict[str, str] = {}
    for one in concepts:
        for property_ in one.get("property", ()):
            if property_["code"] not in used:
                used[property_["code"]] = next(key for key in property_ if key != "code")
    for code, element in used.items():
        type_ = element.removeprefix("value")
        yield _STANDARD.get(code, {"code": code, "type": type_[:1].lower() + type_[1:]})
