"""Several views that are exported together, as plain data and ready to run.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionExport.html. A part writes a file for
each view, as it would for each type: the resources of a type are read once, whatever views there
are of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Invalid, Refusal
from ehr_server.fhir import json
from ehr_server.views.view import view
from ehr_server.views.writers import Shape, TableFile

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from ehr_server.views.view import View
    from ehr_server.views.writers import Format


@dataclass(frozen=True, slots=True)
class Tables:
    """Views to export: ViewDefinitions by the names of their files, in a format. `base` is the
    address of the server: references that begin with it are taken as relative. `has_header`: CSV
    begins with the names of the columns."""

    format: Format
    views: Mapping[str, dict[str, Any]]
    base: str = ""
    has_header: bool = True

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `tables_of` reads it."""
        return {
            "format": self.format,
            "views": dict(self.views),
            "base": self.base,
            "has_header": self.has_header,
        }

    def made(self) -> Made:
        """The views, ready to run. Raises `Unprocessable`."""
        return Made(
            {name: view(definition, self.base) for name, definition in self.views.items()},
            self.format,
            self.has_header,
        )


def tables_of(value: dict[str, Any]) -> Tables:
    """The tables that `as_json` wrote."""
    return Tables(**value)


# What a name has to be, where `is_name` says that it is not.
NAMED = (
    "each view needs a name of its own, of letters, digits, underscores and hyphens: it becomes "
    "that of its files, so it is none of `deleted`, `Patient-block` and `OperationOutcome` either."
)
NAMED_VI = (
    "mỗi khung nhìn cần tên riêng gồm chữ cái, chữ số, dấu gạch dưới và gạch nối, dùng làm tên "
    "tệp, nên cũng không được là `deleted`, `Patient-block` hay `OperationOutcome`."
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# Files of an export have them that are of no view (`store.files`).
_TAKEN = ("deleted", "Patient-block", "OperationOutcome")


def is_name(name: str, taken: Container[str]) -> bool:
    """Whether a view can have the name, beside those that are taken."""
    return _NAME.fullmatch(name) is not None and name not in _TAKEN and name not in taken


def read_files(paths: Sequence[Path], format_: Format, base: str = "") -> Tables:
    """The views of files, each a ViewDefinition as JSON; one without a name has that of its file.

    Raises OSError, and `Invalid` that names the file and all that is wrong with its view.
    """
    views: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            definition = json.read(path.read_bytes())
            name = view(definition, base).name or path.name.partition(".")[0]
        except Refusal as refusal:
            told = (f"\n  {', '.join(one.expression)}: {one.text}" for one in refusal.issues)
            why = "".join(told) or f" {refusal.text}"
            raise Invalid(
                f"{path} is no view that can be run:{why}",
                vi=f"{path} không phải khung nhìn chạy được:{why}",
            ) from None
        if not is_name(name, views):
            raise Invalid(f"{path}: {NAMED}", vi=f"{path}: {NAMED_VI}")
        views[name] = definition
    return Tables(format_, views, base)


@dataclass(frozen=True, slots=True)
class Made:
    """Views by the names of their files."""

    views: Mapping[str, View]
    format: Format
    has_header: bool

    def types(self) -> tuple[str, ...]:
        """The types of resources that they are of."""
        return tuple(sorted({one.resource for one in self.views.values()}))

    def names(self, type_name: str) -> Sequence[str]:
        """The names of those of a type."""
        return [name for name, one in self.views.items() if one.resource == type_name]

    def opened(self, name: str, path: Path) -> TableFile:
        """A new file of one of them."""
        view = self.views[name]
        return TableFile(path, view, Shape(view.columns, self.format, self.has_header))
