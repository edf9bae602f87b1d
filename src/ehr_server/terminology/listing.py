"""The codes of a value set as a ValueSet.expansion: searched for words, in pages or as a tree.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ehr_server.identity.folding import fold
from ehr_server.terminology.concepts import MARKS
from ehr_server.terminology.expansion import Group
from ehr_server.terminology.refusals import TooCostly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ehr_server.terminology.concepts import Concepts

MOST = 10_000  # codes in one answer
_LEVELS_MAX = 30
_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of an expansion; `count` None means all, as few as `MOST`."""

    filter: str = ""
    offset: int = 0
    count: int | None = None
    language: str = ""
    with_designations: bool = False
    active_only: bool = False
    selectable_only: bool = False
    is_nested: bool = False


def expanded(groups: Sequence[Group], wish: Wish) -> dict[str, Any]:
    """The ValueSet.expansion without identifier and timestamp; a tree comes whole, not in pages.

    Raises `TooCostly` for more than `MOST` codes at once.
    """
    chosen = [_chosen(group, wish) for group in groups]
    total = sum(len(group.positions) for group in chosen)
    if total > MOST and (wish.count is None or wish.is_nested):
        raise TooCostly(
            f"The value set has {total} codes, and one answer {MOST} at most: ask for a page with"
            " count and offset, or for fewer codes with filter.",
            vi=f"Bộ giá trị có {total} mã, mỗi lần trả lời tối đa {MOST}: hãy lấy từng trang bằng"
            " count và offset, hoặc thu hẹp bằng filter.",
        )
    found: dict[str, Any] = {}
    if not all(group.concepts.is_whole for group in groups):
        found["extension"] = [{"url": _UNCLOSED, "valueBoolean": True}]
    found["total"] = total
    if wish.is_nested:
        contains = [one for group in chosen for one in _tree(group, wish)]
    else:
        found["offset"] = wish.offset
        count = MOST if wish.count is None else min(wish.count, MOST)
        contains = list(_page(chosen, wish, count))
    found["parameter"] = list(_versions(groups))
    return found | ({"contains": contains} if contains else {})


def _chosen(group: Group, wish: Wish) -> Group:
    concepts, positions = group
    words = [word for word in (one.strip(MARKS) for one in fold(wish.filter).split()) if word]
    if words:
        searched = concepts.searched
        first, *rest = (f" {word}" for word in words)
        positions = [at for at in positions if first in searched[at]]
        for word in rest:
            positions = [at for at in positions if word in searched[at]]
    out = concepts.inactive if wish.active_only else set()
    if wish.selectable_only:
        out = out | concepts.abstract
    return Group(concepts, [at for at in positions if at not in out] if out else positions)


def _page(groups: Iterable[Group], wish: Wish, count: int) -> Iterator[dict[str, Any]]:
    """The entries from the offset on, without a look at those before it."""
    skip = wish.offset
    for concepts, positions in groups:
        if skip >= len(positions):
            skip -= len(positions)
            continue
        entry = _entries(concepts, wish)
        for at in islice(positions[skip : skip + count], count):
            yield entry(at)
        count -= min(count, len(positions) - skip)
        skip = 0
        if not count:
            return


def _tree(group: Group, wish: Wish) -> list[dict[str, Any]]:
    """The entries, each in the nearest one above it that is in the value set too."""
    concepts, positions = group
    entry = _entries(concepts, wish)
    entries = {at: entry(at) for at in positions}
    above = {at: _above(concepts, at, entries) for at in positions}
    level: dict[int | None, int] = {None: -1}
    top: list[dict[str, Any]] = []
    for at in positions:
        chain: list[int | None] = [at]
        while chain[-1] is not None and chain[-1] not in level:
            chain.append(above[chain[-1]])
        for one, parent in zip(chain[-2::-1], chain[:0:-1], strict=True):
            level[one] = (level[parent] + 1) % _LEVELS_MAX
    for at in positions:
        parent = above[at]
        if parent is None or not level[at]:  # what is too deep begins a tree of its own
            top.append(entries[at])
        else:
            entries[parent].setdefault("contains", []).append(entries[at])
    return top


def _above(concepts: Concepts, at: int, among: dict[int, Any]) -> int | None:
    """The nearest position above that is among those given; where there are several, the first."""
    level, seen = list(concepts.parents.get(at, ())), {at}
    while level:
        for one in level:
            if one in among:
                return one
        seen.update(level)
        level = [
            above for one in level for above in concepts.parents.get(one, ()) if above not in seen
        ]
    return None


def _entries(concepts: Concepts, wish: Wish) -> Callable[[int], dict[str, Any]]:
    def entry(at: int) -> dict[str, Any]:
        made: dict[str, Any] = {"system": concepts.system} if concepts.system else {}
        if at in concepts.abstract:
            made["abstract"] = True
        if at in concepts.inactive:
            made["inactive"] = True
        made["code"] = concepts.codes[at]
        display = concepts.display(at, wish.language)
        if display:
            made["display"] = display
        if wish.with_designations and at in concepts.designations:
            made["designation"] = [one.as_json() for one in concepts.designations[at]]
        return made

    return entry


def _versions(groups: Iterable[Group]) -> Iterator[dict[str, Any]]:
    used = {
        f"{one.concepts.system}|{one.concepts.version}": None
        for one in groups
        if one.concepts.version
    }
    for canonical in used:
        yield {"name": "version", "valueUri": canonical}
