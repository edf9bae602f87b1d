"""Rules for code systems and value sets: neither too large, nor in a circle.

https://hl7.org/fhir/R4/valueset.html, https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ehr_server.packages.findings import error
from ehr_server.patterns import matcher

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.issue import Issue

CODES_MAX = 500_000  # SNOMED CT has 360,000 concepts, LOINC 100,000


def sizes(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """What would fill the memory of every process is refused."""
    for one in new:
        if one.type not in ("CodeSystem", "ValueSet"):
            continue
        count = _count(one.resource())
        if count > CODES_MAX:
            yield error(
                one,
                "size",
                f"lists {count:,} codes; at most {CODES_MAX:,} are held",
                f"liệt kê {count} mã; tối đa {CODES_MAX}",
            )


def _count(resource: dict[str, Any]) -> int:
    count = 0
    level = [resource, resource.get("expansion", {}), *_includes(resource)]
    while level:
        level = [
            below for one in level for below in (*one.get("concept", ()), *one.get("contains", ()))
        ]
        count += len(level)
    return count


def _includes(value_set: dict[str, Any]) -> list[dict[str, Any]]:
    compose = value_set.get("compose", {})
    return [*compose.get("include", ()), *compose.get("exclude", ())]


def circles(catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """A value set may not include itself, neither directly nor through others."""
    safe: set[str] = set()  # from here no circle is reached
    for one in new:
        if one.type == "ValueSet":
            circle = _circle(catalog, one, safe)
            if one.url in circle:
                way = " -> ".join(circle)
                yield error(one, "circle", f"includes itself: {way}", f"tự bao gồm: {way}")


def _circle(catalog: Catalog, start: Artifact, safe: set[str]) -> list[str]:
    """The urls on a way from the value set back to one of them; [] if there is none."""
    path = [start.url]
    ways = [_value_sets(catalog, start)]
    while ways:
        after = next(ways[-1], None)
        if after is None:
            ways.pop()
            safe.add(path.pop())
        elif after.url in path:
            return [*path[path.index(after.url) :], after.url]
        elif after.url not in safe:
            path.append(after.url)
            ways.append(_value_sets(catalog, after))
    return []


def _value_sets(catalog: Catalog, value_set: Artifact) -> Iterator[Artifact]:
    """Those that it draws on and that are there."""
    for include in _includes(value_set.resource()):
        for canonical in include.get("valueSet", ()):
            found = catalog.find("ValueSet", canonical)
            if found is not None:
                yield found


def patterns_compile(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """Filters by regex are run on an engine that is linear in time, and must fit it."""
    for one in new:
        if one.type != "ValueSet":
            continue
        for include in _includes(one.resource()):
            for filter_ in include.get("filter", ()):
                if filter_["op"] != "regex":
                    continue
                try:
                    matcher(filter_["value"])
                except ValueError as reason:
                    yield error(
                        one,
                        "pattern",
                        f"a filter's regular expression cannot be used: {reason}",
                        f"biểu thức chính quy của bộ lọc không dùng được: {reason}",
                    )
