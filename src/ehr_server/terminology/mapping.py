"""What a code is called in another system, by concept maps.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ehr_server.terminology.checking import Coded

_NO_MATCH = {"unmatched", "disjoint"}
_REVERSED = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
_MAPS_MAX = 10  # that refer to one another where a code is not mapped


@dataclass(frozen=True, slots=True)
class Translation:
    """Where to go: systems and value sets "" mean any; `find` gives other maps by canonical."""

    target_system: str = ""
    source: str = ""
    target: str = ""
    is_reverse: bool = False
    find: Callable[[str], Mapping[str, Any] | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Match:
    """One concept that a code is mapped to; `map` is the url of the map, `product` what must be
    said with it: (property, system, value)."""

    equivalence: str
    system: str
    code: str
    display: str
    map: str
    product: tuple[tuple[str, str, str], ...] = ()

    @property
    def is_translation(self) -> bool:
        """Whether it says what the code is, not that there is nothing."""
        return self.equivalence not in _NO_MATCH


def matches(maps: Iterable[Mapping[str, Any]], coded: Coded, wish: Translation) -> list[Match]:
    """What the maps make of a code, each match once, in the order of the maps."""
    found: dict[Match, None] = {}
    for one in maps:
        if _is_meant(one, wish):
            found |= dict.fromkeys(_of_map(one, coded, wish, _MAPS_MAX))
    return list(found)


def _is_meant(map_: Mapping[str, Any], wish: Translation) -> bool:
    """Whether the map leads from and to the value sets asked for."""
    source, target = _ends(map_)
    if wish.is_reverse:
        source, target = target, source
    return _same(wish.source, source) and _same(wish.target, target)


def _ends(map_: Mapping[str, Any]) -> tuple[str, str]:
    source, target = (
        str(map_.get(f"{end}Canonical") or map_.get(f"{end}Uri") or "")
        for end in ("source", "target")
    )
    return source, target


def _same(asked: str, said: str) -> bool:
    return not asked or asked.partition("|")[0] == said.partition("|")[0]


def _of_map(
    map_: Mapping[str, Any], coded: Coded, wish: Translation, further: int
) -> Iterator[Match]:
    for group in map_.get("group", ()):
        here, there = group.get("source", ""), group.get("target", "")
        if wish.is_reverse:
            here, there = there, here
        if not _same(here, coded.system) or not _same(wish.target_system, there):
            continue
        found = list(_of_group(map_, group, coded, wish))
        yield from found
        if not found and not wish.is_reverse:
            yield from _unmapped(map_, group, coded, wish, further)


def _of_group(
    map_: Mapping[str, Any], group: Mapping[str, Any], coded: Coded, wish: Translation
) -> Iterator[Match]:
    url = map_.get("url", "")
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            equivalence = target.get("equivalence", "equivalent")
            if wish.is_reverse and target.get("code") == coded.code and "code" in element:
                yield Match(
                    _REVERSED.get(equivalence, equivalence),
                    group.get("source", ""),
                    element["code"],
                    element.get("display", ""),
                    url,
                )
            elif not wish.is_reverse and element.get("code") == coded.code:
                yield Match(
                    equivalence,
                    group.get("target", ""),
                    target.get("code", ""),
                    target.get("display", ""),
                    url,
                    tuple(
                        (one.get("property", ""), one.get("system", ""), one.get("value", ""))
                        for one in target.get("product", ())
                    ),
                )


def _unmapped(
    map_: Mapping[str, Any],
    group: Mapping[str, Any],
    coded: Coded,
    wish: Translation,
    further: int,
) -> Iterator[Match]:
    """What a group says of codes that it does not map: https://hl7.org/fhir/R4/conceptmap.html"""
    rule = group.get("unmapped", {})
    mode, there = rule.get("mode"), group.get("target", "")
    if mode == "provided":
        yield Match("equal", there, coded.code, coded.display, map_.get("url", ""))
    elif mode == "fixed":
        display = rule.get("display", "")
        yield Match("inexact", there, rule.get("code", ""), display, map_.get("url", ""))
    elif mode == "other-map" and further:
        other = wish.find(rule.get("url", ""))
        if other is not None:
            yield from _of_map(other, coded, wish, further - 1)
