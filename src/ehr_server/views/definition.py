"""A ViewDefinition, taken apart: JSON to dataclasses, and what is wrong with its build.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html. It is no resource of R4, so no
gate has looked at it: everything is checked here, all findings at once, but for the expressions,
which `compile` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.issue import Issue
from ehr_server.patterns import matcher
from ehr_server.redact import without_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPE = "ViewDefinition"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)  # the rule sql-name
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_ANY = frozenset(("id", "extension", "modifierExtension"))
_ITERATING = ("forEach", "forEachOrNull", "repeat")  # the rule sql-expressions: one at most
_SELECT = frozenset(("column", "select", "unionAll", *_ITERATING))
_COLUMN = frozenset(("name", "path", "description", "collection", "type", "tag"))
_WHERE = frozenset(("path", "description"))
_SQL_TYPE = "ansi/type"
_URL = "http://hl7.org/fhir/StructureDefinition/"
_TAKEN = frozenset(("resource", "rootResource", "context", "rowIndex", "ucum", "sct", "loinc"))
# `integer64` is of R5; in JSON it is a text there.
_LARGE = "integer64"


@dataclass(frozen=True, slots=True)
class Expression:
    """A FHIRPath expression, and where it stands, such as `ViewDefinition.where[0].path`."""

    text: str
    at: str


@dataclass(frozen=True, slots=True)
class ColumnAsked:
    """A column as it is asked for; `type` is None where it is left to be found out."""

    name: str
    path: Expression
    type: str | None
    is_collection: bool
    sql_type: str | None
    at: str


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection structure: what it goes through, if anything, and what it makes of each."""

    at: str
    columns: tuple[ColumnAsked, ...]
    selects: tuple[Selection, ...]
    union: tuple[Selection, ...]
    for_each: Expression | None = None
    is_or_null: bool = False
    repeat: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant: a value of a primitive type."""

    type: str
    value: Any


@dataclass(frozen=True, slots=True)
class Definition:
    """A ViewDefinition whose build is right. `name` is "" where it has none."""

    name: str
    resource: str
    constants: Mapping[str, Constant]
    root: Selection
    where: tuple[Expression, ...]


def read(value: Any) -> tuple[Definition | None, list[Issue]]:
    """The definition, or None and all that is wrong with its build."""
    if not isinstance(value, dict) or value.get("resourceType", _TYPE) != _TYPE:
        return None, [
            wrong(
                _TYPE,
                "structure",
                "A view is a ViewDefinition, as a JSON object.",
                "Khung nhìn là một ViewDefinition dạng đối tượng JSON.",
            )
        ]
    reader = _Reader()
    found = reader.definition(value)
    return (None if reader.issues else found), reader.issues


def wrong(at: str, rule: str, text: str, vi: str) -> Issue:
    """A finding about a ViewDefinition: the place, the rule and how to mend it."""
    return Issue("error", "invalid", text, (at,), vi, rule)


@dataclass(slots=True)
class _Reader:
    issues: list[Issue] = field(default_factory=list)

    def definition(self, value: Mapping[str, Any]) -> Definition:
        at = "ViewDefinition"
        name = value.get("name", "")
        if name != "":
            self._named(name, f"{at}.name")
        constants: dict[str, Constant] = {}
        for index, one in enumerate(self._several(value, "constant", at)):
            self._constant(one, f"{at}.constant[{index}]", constants)
        root = Selection(at, (), self._selections(value, "select", at), ())
        if not root.selects:
            self._wrong(
                f"{at}.select",
                "required",
                "A view needs a select with a column; say what it shows.",
                "Khung nhìn cần ít nhất một select có cột; xin nêu cột cần hiển thị.",
            )
        where = tuple(
            self._where(one, f"{at}.where[{index}]")
            for index, one in enumerate(self._several(value, "where", at))
        )
        return Definition(
            name if isinstance(name, str) else "", self._resource(value), constants, root, where
        )

    def _resource(self, value: Mapping[str, Any]) -> str:
        found = value.get("resource")
        if isinstance(found, str) and found in definitions().resource_types:
            return found
        self._wrong(
            "ViewDefinition.resource",
            "required",
            "resource names the resource type of R4 that the view is about, such as Patient.",
            "resource phải nêu loại tài nguyên R4 của khung nhìn, ví dụ Patient.",
        )
        return ""

    def _selections(self, holder: Mapping[str, Any], key: str, at: str) -> tuple[Selection, ...]:
        return tuple(
            self._selection(one, f"{at}.{key}[{index}]")
            for index, one in enumerate(self._several(holder, key, at))
        )

    def _selection(self, value: Mapping[str, Any], at: str) -> Selection:
        self._known(value, _SELECT, at)
        iterating = [key for key in _ITERATING if value.get(key)]
        if len(iterating) > 1:
            self._wrong(
                at,
                "sql-expressions",
                f"A select goes through one of {' and '.join(iterating)}; nest one in the other.",
                f"Một select chỉ dùng một trong {', '.join(iterating)}; hãy lồng vào nhau.",
            )
        found = Selection(
            at,
            tuple(
                self._column(one, f"{at}.column[{index}]")
                for index, one in enumerate(self._several(value, "column", at))
            ),
            self._selections(value, "select", at),
            self._selections(value, "unionAll", at),
            self._for_each(value, at),
            "forEachOrNull" in value,
            self._repeat(value, at),
        )
        if not (found.columns or found.selects or found.union):
            self._wrong(
                at,
                "required",
                "A select needs a column, a select or a unionAll; say what it shows.",
                "Một select cần column, select hoặc unionAll; xin nêu nội dung cần hiển thị.",
            )
        return found

    def _for_each(self, value: Mapping[str, Any], at: str) -> Expression | None:
        for key in ("forEach", "forEachOrNull"):
            if key in value:
                return self._expression(value[key], f"{at}.{key}")
        return None

    def _repeat(self, value: Mapping[str, Any], at: str) -> tuple[Expression, ...]:
        found = value.get("repeat", [])
        if not isinstance(found, list):
            self._wrong(
                f"{at}.repeat",
                "structure",
                "repeat is a list of FHIRPath expressions.",
                "repeat là danh sách biểu thức FHIRPath.",
            )
            return ()
        return tuple(
            self._expression(one, f"{at}.repeat[{index}]") for index, one in enumerate(found)
        )

    def _column(self, value: Mapping[str, Any], at: str) -> ColumnAsked:
        self._known(value, _COLUMN, at)
        name = self._named(value.get("name"), f"{at}.name")
        is_collection = value.get("collection", False)
        if not isinstance(is_collection, bool):
            self._wrong(
                f"{at}.collection",
                "structure",
                "collection is true or false.",
                "collection là true hoặc false.",
            )
        return ColumnAsked(
            name,
            self._expression(value.get("path"), f"{at}.path"),
            self._type(value, at),
            is_collection is True,
            self._sql_type(value, at),
            at,
        )

    def _type(self, value: Mapping[str, Any], at: str) -> str | None:
        found = value.get("type")
        if found is None:
            return None
        name = found.removeprefix(_URL) if isinstance(found, str) else ""
        if name == _LARGE:
            return "integer"
        if name in definitions().types:
            return name
        self._wrong(
            f"{at}.type",
            "type",
            "type is a type of FHIR R4, such as dateTime, Quantity or Observation.component.",
            "type là một kiểu của FHIR R4, ví dụ dateTime, Quantity hay Observation.component.",
        )
        return None

    def _sql_type(self, value: Mapping[str, Any], at: str) -> str | None:
        for index, tag in enumerate(self._several(value, "tag", at)):
            if not isinstance(tag.get("name"), str) or not isinstance(tag.get("value"), str):
                self._wrong(
                    f"{at}.tag[{index}]",
                    "structure",
                    "A tag has a name and a value, both texts.",
                    "Mỗi tag có name và value đều là văn bản.",
                )
            elif tag["name"] == _SQL_TYPE:
                return str(tag["value"]).upper().strip()
        return None

    def _where(self, value: Mapping[str, Any], at: str) -> Expression:
        self._known(value, _WHERE, at)
        return self._expression(value.get("path"), f"{at}.path")

    def _constant(self, value: Mapping[str, Any], at: str, constants: dict[str, Constant]) -> None:
        name = self._named(value.get("name"), f"{at}.name")
        if name in _TAKEN or name in constants:
            self._wrong(
                f"{at}.name",
                "unique",
                f"%{name} is the name of something else already; choose another name.",
                f"%{name} đã được dùng; xin chọn tên khác.",
            )
        values = [key for key in value if key.startswith("value")]
        type_ = _type_of_value(values[0]) if len(values) == 1 else None
        if type_ is None:
            self._wrong(
                f"{at}.value[x]",
                "required",
                "A constant has one value of a primitive type, such as valueCode.",
                "Mỗi hằng số có đúng một giá trị kiểu nguyên thủy, ví dụ valueCode.",
            )
        elif not _is_of(value[values[0]], type_):
            self._wrong(
                f"{at}.{values[0]}",
                "type",
                f"This is not a value of the type {type_}.",
                f"Giá trị này không thuộc kiểu {type_}.",
            )
        else:
            found = value[values[0]]
            is_large = type_ == _LARGE
            constants[name] = (
                Constant("integer", int(found)) if is_large else Constant(type_, found)
            )

    def _named(self, name: Any, at: str) -> str:
        if isinstance(name, str) and len(name) < 256 and _NAME.fullmatch(name):
            return name
        self._wrong(
            at,
            "sql-name",
            "A name begins with a letter and goes on with letters, digits and underscores.",
            "Tên bắt đầu bằng chữ cái, tiếp theo là chữ cái, chữ số và dấu gạch dưới.",
        )
        return ""

    def _expression(self, text: Any, at: str) -> Expression:
        if isinstance(text, str) and text.strip():
            return Expression(text, at)
        self._wrong(
            at,
            "required",
            "A FHIRPath expression is needed here, as a text.",
            "Ở đây cần một biểu thức FHIRPath dạng văn bản.",
        )
        return Expression("{}", at)

    def _several(self, holder: Mapping[str, Any], key: str, at: str) -> list[Mapping[str, Any]]:
        found = holder.get(key, [])
        if isinstance(found, list) and all(isinstance(one, dict) for one in found):
            return found
        self._wrong(
            f"{at}.{key}",
            "structure",
            f"{key} is a list of objects.",
            f"{key} là danh sách đối tượng.",
        )
        return []

    def _known(self, value: Mapping[str, Any], known: frozenset[str], at: str) -> None:
        for key in value:
            if key not in known and key not in _ANY and not key.startswith("_"):
                told = without_numbers(key)
                self._wrong(
                    f"{at}.{told}",
                    "structure",
                    f"There is no {told} here; known are {', '.join(sorted(known))}.",
                    f"Không có {told} ở đây; có thể dùng {', '.join(sorted(known))}.",
                )

    def _wrong(self, at: str, rule: str, text: str, vi: str) -> None:
        self.issues.append(wrong(at, rule, text, vi))


def _type_of_value(key: str) -> str | None:
    suffix = key.removeprefix("value")
    name = suffix[:1].lower() + suffix[1:]
    return name if name in PRIMITIVES or name == _LARGE else None


def _is_of(value: Any, type_: str) -> bool:
    """Whether a value is of the primitive type, by the standard's own formats."""
    if type_ == _LARGE:
        return _WHOLE.fullmatch(str(value)) is not None and not isinstance(value, bool)
    primitive = PRIMITIVES[type_]
    if primitive.json == "boolean":
        return isinstance(value, bool)
    if primitive.json != "string":
        is_whole = primitive.json == "decimal" or type(value) is int
        return is_whole and not isinstance(value, bool | str | dict | list | None)
    if not isinstance(value, str):
        return False
    return primitive.pattern is None or matcher(primitive.pattern)(value)
