"""What a selection goes through: the items of forEach, and all levels of repeat.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#recursive-traversal-with-repeat
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.errors import Unprocessable
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import DYNAMIC, many
from ehr_server.views.definition import wrong

if TYPE_CHECKING:
    from ehr_server.fhirpath.flow import Flow, Many, Run

# The types of what is gone through, each with what leads to its items.
Foci: TypeAlias = Sequence[tuple[str, "Run"]]
FlowOf: TypeAlias = Callable[[int, str], "Flow | FHIRPathError"]

_DEPTH_MAX = 100  # levels; JSON is not nested deeper, so what goes on goes round in a circle


def foci_of(flow: Flow) -> Foci:
    """The items of a forEach, type by type."""
    return [(branch.type, many(branch)) for branch in flow.branches]


def repeated(flow_of: FlowOf, count: int, type_: str) -> tuple[Foci, dict[int, FHIRPathError]]:
    """All levels below a focus of the type, by `count` expressions that are asked at each.

    An expression need not fit the types that are reached: `answer.item` leads nowhere from the
    resource itself. The errors are those of expressions that would fit no type at all.
    """
    steps: dict[str, list[tuple[str, Many]]] = {}
    errors: dict[int, FHIRPathError] = {}
    fitting: set[int] = set()
    waiting = [type_]
    while waiting:
        kind = waiting.pop()
        steps[kind] = []
        for number in range(count):
            flow = flow_of(number, kind)
            if isinstance(flow, FHIRPathError):
                errors.setdefault(number, flow)
                continue
            fitting.add(number)
            for branch in flow.branches:
                steps[kind].append((branch.type, many(branch)))
                if branch.type not in steps and branch.type not in waiting:
                    waiting.append(branch.type)
    reached = dict.fromkeys(kind for several in steps.values() for kind, _ in several)
    return (
        [(kind, _walk(steps, type_, kind)) for kind in reached],
        {
            number: error
            for number, error in errors.items()
            if number not in fitting and isinstance(flow_of(number, DYNAMIC), FHIRPathError)
        },
    )


def _walk(steps: dict[str, list[tuple[str, Many]]], start: str, wanted: str) -> Run:
    """All items of one type, each before what lies below it."""

    def below(kind: str, item: Any, scope: Any, found: list[Any], depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise _endless()
        for next_kind, values in steps[kind]:
            for value in values(item, scope):
                if next_kind == wanted:
                    found.append(value)
                below(next_kind, value, scope, found, depth + 1)

    def run(focus: Any, scope: Any) -> list[Any]:
        found: list[Any] = []
        below(start, focus, scope, found, 0)
        return found

    return run


def _endless() -> Unprocessable:
    return Unprocessable(
        issues=[
            wrong(
                "ViewDefinition.select",
                "repeat",
                f"A repeat goes on for more than {_DEPTH_MAX} levels: its path leads back to "
                "where it began. Name the element that holds the next level, such as item.",
                f"repeat đi quá {_DEPTH_MAX} tầng vì đường dẫn quay lại điểm bắt đầu. Hãy nêu "
                "phần tử chứa tầng kế tiếp, ví dụ item.",
            )
        ]
    )
