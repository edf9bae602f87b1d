"""The door: a ViewDefinition, checked and compiled, ready to run.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unprocessable
from ehr_server.fhirpath.scope import NOWHERE, Reach, Scope
from ehr_server.redact import id_without_number
from ehr_server.views.compile import ROWS_MAX, Several, TooMany, compile_view
from ehr_server.views.definition import read
from ehr_server.views.sql_types import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ehr_server.views.column import Column
    from ehr_server.views.compile import Compiled, Row


@dataclass(frozen=True, slots=True)
class View:
    """A view of resources of the type `resource`; `name` is "" where the definition has none."""

    name: str
    resource: str
    columns: tuple[Column, ...]
    _compiled: Compiled
    _reach: Reach

    def rows(self, resources: Iterable[dict[str, Any]]) -> Iterator[Row]:
        """The rows of resources, in their order; those of another type have none.

        A value is as it is in JSON, a decimal a `Decimal`, None where there is none; that of a
        collection is a list. Raises `Unprocessable` that names the resource, where a column that
        holds one value has several (and the column then), or where it makes too many rows. What
        runs is shared by nobody: several threads may each run the view.
        """
        rows, where = self._compiled.rows, self._compiled.where
        for resource in resources:
            if resource.get("resourceType") != self.resource:
                continue
            scope: Any = resource
            if self._compiled.is_wide:
                scope = Scope(resource, resource, self._reach)
            if where and not all(test(resource, scope) is True for test in where):
                continue
            try:
                found = rows(resource, scope)
            except Several as several:
                raise _several(several.column, resource) from None
            except TooMany:
                raise _too_many(resource) from None
            yield from found


def view(definition: Any, base: str = "", reach: Reach = NOWHERE) -> View:
    """The view of a definition.

    `base` is this server's own address: references that begin with it are taken as relative.
    `reach`: what its expressions reach outside of a resource. Raises `Unprocessable` with all that
    is wrong with the definition, each with its place, the rule and how to mend it.
    """
    found, issues = read(definition)
    if found is None:
        raise Unprocessable(issues=issues)
    compiled, issues = compile_view(found, base)
    if compiled is None or (issues := check(compiled.columns)):
        raise Unprocessable(issues=issues)
    return View(found.name, found.resource, compiled.columns, compiled, reach)


def _several(column: str, resource: Mapping[str, Any]) -> Unprocessable:
    place = _place(resource)
    return Unprocessable(
        f"The column {column} has several values in {place}: set its collection to true, or take "
        "one of them, as by first().",
        vi=f"Cột {column} có nhiều giá trị trong {place}: đặt collection là true, hoặc lấy một "
        "giá trị, ví dụ bằng first().",
        expression=("ViewDefinition.select",),
    )


def _too_many(resource: Mapping[str, Any]) -> Unprocessable:
    place = _place(resource)
    return Unprocessable(
        f"{place} makes more than {ROWS_MAX:,} rows: every row of a select is joined with every "
        "one of those beside it; put them under each other by unionAll, or into views of their "
        "own.",
        vi=f"{place} tạo hơn {ROWS_MAX:,} dòng: mỗi dòng của một select được ghép với mọi dòng của "
        "các select bên cạnh; hãy dùng unionAll, hoặc tách thành khung nhìn riêng.",
        expression=("ViewDefinition.select",),
    )


def _place(resource: Mapping[str, Any]) -> str:
    return f"{resource['resourceType']}/{id_without_number(str(resource.get('id', '')))}"
