"""The figures as tables, and as the page of the reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.figures import HEADINGS, table
from identity.lookups import LOOKUPS_PER_S, P50_MS, P99_MS, RESOURCES_PER_S
from identity.people import TOGETHER
from identity.town import VISITS

if TYPE_CHECKING:
    from growth.load import Loaded
    from identity.lookups import Found, Lookups, Times
    from identity.merging import Merging
    from identity.people import Lists

_COLUMNS = (
    "number, and how it is asked for", "found", "alone: p50 ms", "p95", "p99",
    "while writing: p50 ms", "p95", "p99", "server µs", "PostgreSQL µs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One town: what was there when it was asked, and what was found."""

    size: int
    resources: int
    disk_bytes: int
    postgresql: str
    loaded: Loaded
    idle_us: float  # of processor time a second, of all processes, when nobody asks
    lookups: Lookups
    lists: Lists
    merging: Merging


def section(one: Measured) -> str:
    """All tables of a town, below a heading of its size."""
    return "\n\n".join(
        (
            f"## {one.size:,} residents",
            _town(one),
            "### Look-ups",
            table(_COLUMNS, [*map(_row, one.lookups.ways), _whole(one.lookups)]),
            _told(one),
            "### A list of people",
            table(HEADINGS, [row.row() for row in one.lists.rows]),
            _lists(one.lists),
            "### Two records that become one",
            table(HEADINGS, [row.row() for row in one.merging.rows]),
            f"$merge: {one.merging.left_out}." if one.merging.left_out else "",
        )
    ).rstrip()


def page(sections: list[str], facts: str) -> str:
    """The whole page; `facts` tells of the machine."""
    return "\n\n".join((_HEAD, facts, *sections)) + "\n"


def figures(one: Measured) -> dict[str, Any]:
    """All of it, to be kept as JSON."""
    return asdict(one)


def _town(one: Measured) -> str:
    loaded = one.loaded
    return (
        f"{one.resources:,} resources when it was asked, {one.disk_bytes / 1e9:,.2f} GB of tables"
        f" and indexes; {loaded.resources:,} of them loaded in {loaded.wall_s:,.0f} s, each with"
        f" {loaded.python_s / loaded.resources * 1e6:,.0f} µs of Python and"
        f" {loaded.postgresql_s / loaded.resources * 1e6:,.0f} µs of PostgreSQL."
    )


def _row(found: Found) -> tuple[str, ...]:
    return (
        found.way,
        f"{found.found} of {found.asked}",
        *_times(found.alone),
        *_times(found.beside),
        f"{found.server_us:,.0f}",
        f"{found.postgresql_us:,.0f}",
    )


def _whole(lookups: Lookups) -> tuple[str, ...]:
    ways = lookups.ways
    costs = [sum(one.server_us for one in ways), sum(one.postgresql_us for one in ways)]
    return (
        "**all**",
        f"{sum(one.found for one in ways):,} of {sum(one.asked for one in ways):,}",
        *_times(lookups.alone),
        *_times(lookups.beside),
        *(f"{cost / len(ways):,.0f}" for cost in costs),
    )


def _times(times: Times) -> tuple[str, str, str]:
    return f"{times.p50_ms:,.2f}", f"{times.p95_ms:,.2f}", f"{times.p99_ms:,.2f}"


def _told(one: Measured) -> str:
    found = one.lookups
    pushes, beside = found.pushes, found.beside
    return (
        f"{pushes.count:,} checkups of {found.pushed:,} resources were pushed beside the look-ups,"
        f" {found.pushed / found.wall_s:,.0f} resources/s: p50 {pushes.p50_ms:,.1f} ms, p95"
        f" {pushes.p95_ms:,.1f} ms. When nobody asks, all processes together take"
        f" {one.idle_us / 1e3:,.1f} ms of processor time a second. The goal for all look-ups while"
        f" writing, p50 < {P50_MS:g} ms and p99 < {P99_MS:g} ms, is"
        f" **{'met' if found.is_met else 'not met'}** ({beside.p50_ms:,.2f} ms and"
        f" {beside.p99_ms:,.2f} ms)."
    )


def _lists(lists: Lists) -> str:
    rates = [row.rate for row in lists.rows]
    names = ("the first time", "sent again", "from two clients")
    shares = [f"{name} {rate / rates[0]:.0%}" for name, rate in zip(names, rates[1:], strict=True)]
    is_one = "one Patient each" if lists.made == lists.sent else "**not one Patient each**"
    return (
        f"Of the rate of plain creates ifNoneExist has {', '.join(shares)}. The {lists.sent:,}"
        f" people whom two clients sent at once made {lists.made:,} Patients: {is_one}."
    )


_HEAD = f"""\
# A resident found by the number of a card

Made by `python -m bench --identity --residents 100000 --page`: a real server with the
embedded PostgreSQL and all defaults, loaded with residents of a campaign. Of every resident there
are the Patient with identity card and insurance card, telephone and address, the Coverage and an
Encounter, of every {VISITS}th a short checkup.

- **Look-ups** come at {LOOKUPS_PER_S} a second, **checkups** as transactions of about 57
  resources, {RESOURCES_PER_S} resources a second: half of them of known people, half of strangers,
  each person with `ifNoneExist`. Both are open loops: a request is sent when it is due, and its
  latency counts from that moment, waiting for a free connection included.
- Look-ups go by `POST Patient/_search` but where GET is told. **Found**: of so many persons so many
  answers were exactly the one asked for (of nobody's number: nobody).
- The search for duplicates has been through the town before it is measured; what is pushed beside
  look-ups it looks at as it comes. For lists and merges it is off (`--duplicates=off`).
- **µs** are processor time of a look-up without writes, the idle work of all processes included.
- **A list** is a transaction of {TOGETHER} people, who have the identifiers of their cards in every
  row; latencies are those of the whole transaction.
- Client, server and PostgreSQL share the machine. Compare within a run."""
