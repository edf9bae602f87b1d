"""The figures of all sizes as tables, and as the page of the reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from growth.person import persons
from growth.questions import GROUPS
from harness.figures import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from growth.load import Loaded
    from growth.measure import Point

FLAT = 2.0  # times as many pages or rows at the largest size: more is told as growing
_FEW = 200  # of which a few more tell nothing


@dataclass(slots=True)
class Curve:
    """By the number of residents: the points, the resources there, how the load went."""

    points: dict[int, list[Point]] = field(default_factory=dict)
    resources: dict[int, int] = field(default_factory=dict)
    loads: dict[int, Loaded] = field(default_factory=dict)
    postgresql: str = ""

    def of(self, name: str) -> list[Point]:
        """The points of a question, the smallest size first."""
        return [
            next(point for point in self.points[size] if point.name == name)
            for size in sorted(self.points)
        ]


def section(curve: Curve) -> str:
    """All tables, below a heading for each group, then what was left out and what is not flat."""
    parts = ["### Search while the record grows", _sizes(curve)]
    for group, questions in GROUPS.items():
        rows = [_row(curve.of(question.name)) for question in questions]
        answered = [row for row in rows if row]
        if answered:
            parts += [f"**{group}**", table(_headings(curve), answered)]
    return "\n\n".join((*parts, *_told("Growing", growing(curve)), *_told("Wrong", wrong(curve)),
                        *_told("Not answered", refused(curve))))  # fmt: skip


def page(curve: Curve, facts: str) -> str:
    """docs/reference/search-curve.md"""
    someone = persons()[0]
    addresses = [
        f"- {question.name}: `{question.address_for(someone)}`"
        for questions in GROUPS.values()
        for question in questions
    ]
    asked = "\n".join(addresses)
    return "\n\n".join((_HEAD, facts, section(curve), "## What is asked", asked)) + "\n"


def figures(curve: Curve) -> list[dict[str, Any]]:
    """All of it, size by size, to be kept as JSON."""
    return [
        {
            "residents": size,
            "resources": curve.resources[size],
            "load": asdict(curve.loads[size]) if size in curve.loads else None,
            "points": [asdict(point) for point in curve.points[size]],
        }
        for size in sorted(curve.points)
    ]


def growing(curve: Curve) -> list[str]:
    """Questions for which the database reads more the more there is, beyond `FLAT`."""
    return [
        f"{first.name} ({first.buffers:,} pages and {first.rows_read:,} rows,"
        f" then {last.buffers:,} and {last.rows_read:,})"
        for first, last in ((found[0], found[-1]) for found in _answered(curve))
        if last.buffers > max(FLAT * first.buffers, _FEW)
        or last.rows_read > max(FLAT * first.rows_read, _FEW)
    ]


def wrong(curve: Curve) -> list[str]:
    return [
        f"{found[0].name} ({next(point.wrong for point in found if point.wrong)})"
        for found in _answered(curve)
        if any(point.wrong for point in found)
    ]


def refused(curve: Curve) -> list[str]:
    every = (curve.of(point.name) for point in curve.points[min(curve.points)])
    return [
        f"{found[0].name} ({reasons[0]})"
        for found in every
        if (reasons := [point.refused for point in found if point.refused])
    ]


def _answered(curve: Curve) -> list[list[Point]]:
    every = (curve.of(point.name) for point in curve.points[min(curve.points)])
    return [found for found in every if not any(point.refused for point in found)]


def _told(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:\n\n" + "\n".join(f"- {line}" for line in lines)] if lines else []


def _sizes(curve: Curve) -> str:
    parts = []
    for size in sorted(curve.points):
        told = f"{size:,} residents, {curve.resources[size]:,} resources"
        if size in curve.loads:
            loaded = curve.loads[size]
            told += (
                f" ({loaded.resources:,} of them loaded in {loaded.wall_s:,.0f} s, each with"
                f" {loaded.python_s / loaded.resources * 1e6:,.0f} µs of Python and"
                f" {loaded.postgresql_s / loaded.resources * 1e6:,.0f} µs of PostgreSQL)"
            )
        parts.append(told)
    return "Sizes: " + "; ".join(parts) + "."


def _headings(curve: Curve) -> list[str]:
    sizes = " / ".join(f"{size:,}" for size in sorted(curve.points))
    figures_of = ("p50 ms", "p99 ms", "pages", "rows read")
    return ["asked", f"found at {sizes}", *figures_of, "pages x", "p50 x", "read whole", "exact"]


def _row(found: list[Point]) -> list[str]:
    """One line; empty where there is no answer at any size."""
    there = [point for point in found if not point.refused]
    if not there:
        return []
    first, last = there[0], there[-1]
    return [
        first.name,
        _cell(found, lambda point: f"{point.rows:,}"),
        _cell(found, lambda point: f"{point.p50_ms:,.2f}"),
        _cell(found, lambda point: f"{point.p99_ms:,.2f}"),
        _cell(found, lambda point: f"{point.buffers:,}"),
        _cell(found, lambda point: f"{point.rows_read:,}"),
        f"{last.buffers / max(first.buffers, 1):,.1f}",
        f"{last.p50_ms / first.p50_ms:,.1f}",
        ", ".join(last.scanned) or "no",
        "no" if any(point.wrong for point in there) else "yes",
    ]


def _cell(found: list[Point], shown: Callable[[Point], str]) -> str:
    return " / ".join("-" if point.refused else shown(point) for point in found)


_HEAD = """\
# Search while the record grows

Made by `python -m bench --search --page`: the same questions of one campaign at several sizes, in
one process, from the text of the address to the unpacked contents.

- **Pages** are those of 8 kB that the database touches, in memory or not; **rows read** are those
  of indexes too. Neither depends on the machine.
- What is asked for by **rare** words is there as often at every size.
- **Read whole**: tables that grow with the record, read from end to end at the largest size.
- **Exact**: what is found is what a plain look at every resource finds, in order, and its total."""
