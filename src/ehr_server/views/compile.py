"""A definition to closures: what it shows of a resource, ready to run on millions.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#processing-algorithm. Each
selection becomes a function from a focus to partial rows; those beside each other are crossed,
those below are repeated for each item that is gone through. What lies in no loop is one row, made
by one comprehension. The types of the columns are told by the expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.fhirpath.compile import Beyond, compile_flow, constant, is_wide
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, all_values, truth
from ehr_server.fhirpath.scope import Scope, reach_of, resource_of
from ehr_server.redact import without_numbers
from ehr_server.views.column import Column
from ehr_server.views.definition import ColumnAsked, Definition, Expression, Selection, wrong
from ehr_server.views.functions import functions
from ehr_server.views.types import mistyped, type_of
from ehr_server.views.walk import Foci, foci_of, repeated

if TYPE_CHECKING:
    from ehr_server.fhirpath.flow import Run
    from ehr_server.issue import Issue

Row: TypeAlias = tuple[Any, ...]
# A focus, and the resource around it or its scope, to the rows of it.
Rows: TypeAlias = Callable[[Any, Any], Sequence[Row]]

_ROW_INDEX = "%rowIndex"
ROWS_MAX = 1_000_000  # of one resource, which are held together


class TooMany(Exception):
    """A resource makes more than `ROWS_MAX` rows: selections are crossed that should not be."""


class Several(Exception):
    """A column that holds one value has several; `column` is its name."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


@dataclass(frozen=True, slots=True)
class Compiled:
    """A view ready to run: `rows` of a resource that passes all of `where`. `is_wide`: its
    expressions ask for more than the resource, so a `Scope` must be handed to them."""

    columns: tuple[Column, ...]
    where: tuple[Run, ...]
    rows: Rows
    is_wide: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """What one clause adds to a row: `runs`, if it is one row always, else `rows`. `blank` is what
    stands there where nothing is gone through, as forEachOrNull has it."""

    columns: tuple[Column, ...]
    blank: Row
    runs: tuple[Run, ...] = ()
    rows: Rows | None = None


def compile_view(definition: Definition, base: str = "") -> tuple[Compiled | None, list[Issue]]:
    """The view, or None and all that is wrong with its expressions and columns.

    `base` is this server's own address: references that begin with it are taken as relative.
    """
    compiler = _Compiler(_beyond(definition, base))
    part = compiler.selection(definition.root, definition.resource)
    where = tuple(compiler.criterion(one, definition.resource) for one in definition.where)
    compiler.check_unique(definition.root)
    issues = list(dict.fromkeys(compiler.issues))
    if issues:
        return None, issues
    is_any_wide = any(
        is_wide(one.text) for one in (*_expressions(definition.root), *definition.where)
    )
    return Compiled(part.columns, where, _rows(part), is_any_wide), []


def _beyond(definition: Definition, base: str) -> Beyond:
    index = Flow((Branch("integer", _row_index),))
    whole = Flow((Branch(definition.resource, lambda focus, scope: resource_of(scope)),))  # noqa: ARG005
    constants = {
        f"%{name}": constant(one.value, one.type) for name, one in definition.constants.items()
    }
    return Beyond({**constants, _ROW_INDEX: index, "%resource": whole}, functions(base))


def _row_index(focus: Any, scope: Any) -> int:  # noqa: ARG001
    return scope.row_index if type(scope) is Scope else 0


@dataclass(slots=True)
class _Compiler:
    beyond: Beyond
    issues: list[Issue] = field(default_factory=list)

    def selection(self, selection: Selection, type_: str) -> _Part:
        """The part of a selection on a focus of the type."""
        if selection.repeat:
            foci = self._repeat(selection, type_)
        elif selection.for_each is not None:
            foci = foci_of(self.flow(selection.for_each, type_))
        else:
            return self._body(selection, type_)
        bodies = {kind: self._body(selection, kind) for kind in dict.fromkeys(k for k, _ in foci)}
        parts = list(bodies.values()) or [self._body_of_nothing(selection)]
        self._check_alike(parts, selection.at)
        needs_scope = any(
            _ROW_INDEX in one.text or is_wide(one.text) for one in _expressions(selection)
        )
        runs = tuple((walk, _rows(bodies[kind])) for kind, walk in foci)
        blank = parts[0].blank
        instead = (blank,) if selection.is_or_null else ()
        return _Part(
            parts[0].columns,
            blank,
            rows=_indexed(runs, instead) if needs_scope else _each(runs, instead),
        )

    def flow(self, expression: Expression, type_: str) -> Flow:
        """The flow of an expression; none at all, and an issue, where it cannot be compiled."""
        try:
            return self._flow(expression.text, type_)
        except FHIRPathError as error:
            self._refuse(expression, error)
            return Flow(())

    def criterion(self, expression: Expression, type_: str) -> Run:
        """The test of a `where`."""
        flow = self.flow(expression, type_)
        others = sorted({b.type for b in flow.branches} - {"boolean", DYNAMIC})
        if others:
            self.issues.append(
                wrong(
                    expression.at,
                    "where",
                    f"A where is true or false, and this is {others[0]}; ask exists() of it, or "
                    "compare it.",
                    f"Điều kiện where phải cho đúng hoặc sai, biểu thức này cho {others[0]}; hãy "
                    "dùng exists() hoặc so sánh.",
                )
            )
        return truth(flow)

    def check_unique(self, root: Selection) -> None:
        """No column may have the name of another."""
        seen: set[str] = set()
        for column in _columns(root):
            if column.name in seen and column.name:
                self.issues.append(
                    wrong(
                        f"{column.at}.name",
                        "unique",
                        f"There is a column {column.name} already; choose another name.",
                        f"Đã có cột {column.name}; xin chọn tên khác.",
                    )
                )
            seen.add(column.name)

    def _body(self, selection: Selection, type_: str) -> _Part:
        parts = [self._column(one, type_) for one in selection.columns]
        parts += [self.selection(one, type_) for one in selection.selects]
        if selection.union:
            parts.append(self._union(selection, type_))
        return _crossed(parts)

    def _body_of_nothing(self, selection: Selection) -> _Part:
        """The columns where nothing is gone through; what could not be compiled is told once."""
        issues = list(self.issues)
        part = self._body(selection, DYNAMIC)
        if issues:
            self.issues[:] = issues
        return part

    def _column(self, asked: ColumnAsked, type_: str) -> _Part:
        before = len(self.issues)
        flow = self.flow(asked.path, type_)
        found, why = (asked.type or "string", None)
        if len(self.issues) == before:
            found, why = type_of(flow, asked.type)
        if why is not None:
            self.issues.append(mistyped(asked, why))
        column = Column(asked.name, found, asked.is_collection, asked.sql_type)
        run = _list_of(flow) if asked.is_collection else _one_of(flow, asked.name)
        blank = 0 if asked.path.text.strip() == _ROW_INDEX else None
        return _Part((column,), (blank,), (run,))

    def _union(self, selection: Selection, type_: str) -> _Part:
        parts = [self.selection(one, type_) for one in selection.union]
        self._check_alike(parts, f"{selection.at}.unionAll")
        return _Part(parts[0].columns, parts[0].blank, rows=_one_after_another(parts))

    def _repeat(self, selection: Selection, type_: str) -> Foci:
        def flow(number: int, kind: str) -> Flow | FHIRPathError:
            try:
                return self._flow(selection.repeat[number].text, kind)
            except FHIRPathError as error:
                return error

        foci, errors = repeated(flow, len(selection.repeat), type_)
        for number, error in errors.items():
            self._refuse(selection.repeat[number], error)
        return foci

    def _flow(self, text: str, type_: str) -> Flow:
        return compile_flow(text, type_, definitions(), follows=True, beyond=self.beyond)

    def _refuse(self, expression: Expression, error: FHIRPathError) -> None:
        why = without_numbers(error.text)
        self.issues.append(
            wrong(
                expression.at,
                "fhirpath",
                f"This FHIRPath cannot be used: {why}, at character {error.at + 1}.",
                f"Không dùng được biểu thức FHIRPath này: {why}, tại ký tự {error.at + 1}.",
            )
        )

    def _check_alike(self, parts: Sequence[_Part], at: str) -> None:
        kinds = {tuple((c.name, c.form, c.is_collection) for c in part.columns) for part in parts}
        if len(kinds) > 1:
            self.issues.append(
                wrong(
                    at,
                    "union",
                    "All that is put under each other has the same columns, in the same order and "
                    "of the same types.",
                    "Các phần được ghép nối phải có cùng các cột, cùng thứ tự và cùng kiểu.",
                )
            )


def _expressions(selection: Selection) -> list[Expression]:
    """All expressions of a selection and of those below it."""
    own = [one.path for one in selection.columns] + list(selection.repeat)
    if selection.for_each is not None:
        own.append(selection.for_each)
    inner = (*selection.selects, *selection.union)
    return own + [expression for one in inner for expression in _expressions(one)]


def _columns(selection: Selection) -> list[ColumnAsked]:
    """The columns of a selection, in the order of the standard; of a union those of the first."""
    below = (*selection.selects, *selection.union[:1])
    return [*selection.columns, *(column for one in below for column in _columns(one))]


def _crossed(parts: Sequence[_Part]) -> _Part:
    """All rows of each part with all of the others."""
    columns = tuple(column for part in parts for column in part.columns)
    blank = tuple(value for part in parts for value in part.blank)
    steps: list[_Part] = []
    for part in parts:
        if part.rows is None and steps and steps[-1].rows is None:
            steps[-1] = _Part((), (), (*steps[-1].runs, *part.runs))
        else:
            steps.append(part)
    if len(steps) == 1:
        return _Part(columns, blank, steps[0].runs, steps[0].rows)
    several = tuple(_rows(step) for step in steps)

    def rows(focus: Any, scope: Any) -> Sequence[Row]:
        found: Sequence[Row] = ((),)
        for step in several:
            more = step(focus, scope)
            if len(found) * len(more) > ROWS_MAX:
                raise TooMany
            if len(found) == 1:
                (first,) = found
                found = [first + row for row in more]
            else:
                found = [row + other for row in found for other in more]
        return found

    return _Part(columns, blank, rows=rows)


def _rows(part: _Part) -> Rows:
    if part.rows is not None:
        return part.rows
    runs = part.runs
    return lambda focus, scope: (tuple([run(focus, scope) for run in runs]),)


def _one_after_another(parts: Sequence[_Part]) -> Rows:
    several = tuple(_rows(part) for part in parts)

    def rows(focus: Any, scope: Any) -> Sequence[Row]:
        found: list[Row] = []
        for one in several:
            _extend(found, one(focus, scope))
        return found

    return rows


def _extend(found: list[Row], more: Sequence[Row]) -> None:
    if len(found) + len(more) > ROWS_MAX:
        raise TooMany
    found += more


def _each(runs: Sequence[tuple[Run, Rows]], instead: Sequence[Row]) -> Rows:
    """The rows of each item that is gone through, or those instead."""

    def rows(focus: Any, scope: Any) -> Sequence[Row]:
        found: list[Row] = []
        for walk, body in runs:
            for item in walk(focus, scope):
                _extend(found, body(item, scope))
        if not found and instead and not any(walk(focus, scope) for walk, _ in runs):
            return instead
        return found

    return rows


def _indexed(runs: Sequence[tuple[Run, Rows]], instead: Sequence[Row]) -> Rows:
    """`_each`, with the place of each item in its scope."""

    def rows(focus: Any, scope: Any) -> Sequence[Row]:
        resource, reach = resource_of(scope), reach_of(scope)
        found: list[Row] = []
        number = 0
        for walk, body in runs:
            for item in walk(focus, scope):
                _extend(found, body(item, Scope(resource, item, reach, number)))
                number += 1
        return found if number else instead

    return rows


def _one_of(flow: Flow, name: str) -> Run:
    if (
        len(flow.branches) == 1
        and not flow.branches[0].is_list
        and flow.branches[0].type != DYNAMIC
    ):
        return flow.branches[0].run
    values = all_values(flow)

    def run(focus: Any, scope: Any) -> Any:
        found = values(focus, scope)
        if len(found) > 1:
            raise Several(name)
        return found[0] if found else None

    return run


def _list_of(flow: Flow) -> Run:
    values = all_values(flow)
    return lambda focus, scope: list(values(focus, scope))
