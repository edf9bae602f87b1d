"""The type of a column: told by its expression, or named, and then held to it.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#column-types
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.fhirpath.flow import DYNAMIC
from ehr_server.fhirpath.kinds import conforms
from ehr_server.views.column import form
from ehr_server.views.definition import ColumnAsked, wrong

if TYPE_CHECKING:
    from ehr_server.fhirpath.flow import Flow
    from ehr_server.issue import Issue

Why = tuple[str, str]  # what is wrong, in English and in Vietnamese


def type_of(flow: Flow, named: str | None) -> tuple[str, Why | None]:
    """The type of the values, and what is wrong with it, if anything."""
    kinds = list(dict.fromkeys(branch.type for branch in flow.branches))
    if named is not None:
        unfit = [kind for kind in kinds if kind != DYNAMIC and not _fits(kind, named)]
        if unfit:
            return named, (
                f"its values are of the type {unfit[0]}, not {named}",
                f"giá trị thuộc kiểu {unfit[0]}, không phải {named}",
            )
        return named, None
    if not kinds:
        return "string", None
    if DYNAMIC in kinds:
        return "string", (
            "the type cannot be told from the expression; name it by type",
            "không suy ra được kiểu từ biểu thức; hãy nêu bằng type",
        )
    return _told(kinds)


def mistyped(asked: ColumnAsked, why: Why) -> Issue:
    """The finding about a column whose type is not right."""
    return wrong(
        f"{asked.at}.type",
        "type",
        f"The column {asked.name}: {why[0]}.",
        f"Cột {asked.name}: {why[1]}.",
    )


def _told(kinds: list[str]) -> tuple[str, Why | None]:
    complex_ = [kind for kind in kinds if kind not in PRIMITIVES]
    if len(kinds) == 1 and complex_:
        return kinds[0], (
            f"its values are {kinds[0]}, which has elements; name it by type, or take one of its "
            "elements",
            f"giá trị là {kinds[0]}, có các phần tử con; hãy nêu bằng type hoặc lấy một phần tử",
        )
    forms = {form(kind) for kind in kinds}
    if not complex_ and (len(forms) == 1 or forms == {"integer", "decimal"}):
        return ("decimal" if "decimal" in forms else kinds[0]), None
    listed = ", ".join(kinds[:5])
    return "string", (
        f"its values are of several types ({listed}); take one by ofType()",
        f"giá trị thuộc nhiều kiểu ({listed}); hãy chọn một bằng ofType()",
    )


def _fits(kind: str, named: str) -> bool:
    """Whether values of a type can stand in a column of another."""
    if conforms(definitions(), kind, named):
        return True
    if kind not in PRIMITIVES or named not in PRIMITIVES:
        return False
    pair = (form(kind), form(named))
    # An instant is a text in JSON, and a dateTime may be as precise as an instant.
    is_moment = pair in (("instant", "text"), ("text", "instant")) and "code" not in (kind, named)
    return pair[0] == pair[1] or pair == ("integer", "decimal") or is_moment
