"""The codes of a value set, in order, as groups of positions: nothing is copied to be counted.

https://hl7.org/fhir/R4/valueset.html#expansion. What cannot be listed because a system is not
loaded is refused; of a fragment what is known is listed, and its `is_whole` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ehr_server.terminology.concepts import Concepts, Designation
from ehr_server.terminology.filters import selected
from ehr_server.terminology.refusals import system_not_loaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ehr_server.terminology.composition import Composition, Part
    from ehr_server.terminology.membership import Member


class Group(NamedTuple):
    """Concepts of one system, by their positions."""

    concepts: Concepts
    positions: Sequence[int]


class Means(NamedTuple):
    """What expanding asks for: systems by canonical, and other value sets in both forms."""

    system: Callable[[str], Concepts | None]
    member: Callable[[str], Member]
    groups: Callable[[str], Sequence[Group]]
    excluded: Callable[[Composition], Member]


def expansion(made_of: Composition, means: Means) -> tuple[Group, ...]:
    """The groups of a composition; no code of a system occurs twice.

    Raises `NotLoaded` where a system or value set that is needed is not there.
    """
    groups: list[Group] = []
    for part in made_of.include:
        groups += _included(part, means, has_inactive=made_of.has_inactive)
    if made_of.exclude:
        out = means.excluded(made_of)
        groups = [
            _kept(group, lambda system, code: not _said(out(system, code), system))
            for group in groups
        ]
    return tuple(_once(groups))


def _included(part: Part, means: Means, *, has_inactive: bool) -> Iterator[Group]:
    if not part.system:
        first, *others = part.value_sets
        for group in means.groups(first):
            yield _narrowed(group, others, means)
        return
    concepts = means.system(part.canonical)
    group = _own(part, concepts)
    if not has_inactive:
        gone = group.concepts.inactive
        group = Group(group.concepts, [at for at in group.positions if at not in gone])
    yield _narrowed(group, part.value_sets, means)


def _own(part: Part, concepts: Concepts | None) -> Group:
    """What the part holds of its system, imported value sets aside."""
    if part.listed:
        few = _listed(part, concepts)
        return Group(few, range(len(few.codes)))
    if concepts is None:
        raise system_not_loaded(part.canonical)
    if part.is_whole:
        return Group(concepts, range(len(concepts.codes)))
    return Group(concepts, sorted(selected(concepts, part.filters)))


def _listed(part: Part, concepts: Concepts | None) -> Concepts:
    """The codes a value set lists, called as it calls them or else as the system does."""
    few = Concepts(part.system, part.version)
    if concepts is not None:
        few.version, few.language = concepts.version, concepts.language
        few.is_case_sensitive = concepts.is_case_sensitive
    for one in part.listed:
        if few.find(one["code"]) is None:
            _take(few, one, concepts)
    return few


def _take(few: Concepts, one: Mapping[str, Any], concepts: Concepts | None) -> None:
    """Adds a listed code with all that its system says of it."""
    at, code = len(few.codes), one["code"]
    few.codes.append(code)
    few.at[code if few.is_case_sensitive else code.casefold()] = at
    own = tuple(
        Designation(name.get("language", ""), name["value"], name.get("use"))
        for name in one.get("designation", ())
        if "value" in name
    )
    origin = None if concepts is None else concepts.find(code)
    if concepts is None or origin is None:
        few.displays.append(one.get("display", ""))
    else:
        few.displays.append(one.get("display") or concepts.displays[origin])
        own += concepts.designations.get(origin, ())
        if origin in concepts.inactive:
            few.inactive.add(at)
    if own:
        few.designations[at] = own


def _narrowed(group: Group, value_sets: Iterable[str], means: Means) -> Group:
    for one in value_sets:
        group = _of_members(group, means.member(one))
    return group


def _of_members(group: Group, member: Member) -> Group:
    return _kept(group, lambda system, code: _said(member(system, code), system))


def _kept(group: Group, is_kept: Callable[[str, str], bool]) -> Group:
    concepts, positions = group
    codes, system = concepts.codes, concepts.system
    return Group(concepts, [at for at in positions if is_kept(system, codes[at])])


def _said(answer: bool | None, system: str) -> bool:
    if answer is None:
        raise system_not_loaded(system)
    return answer


def _once(groups: Iterable[Group]) -> Iterator[Group]:
    """The groups without what an earlier group of the same system has."""
    rest = [group for group in groups if len(group.positions)]
    several = {group.concepts.system for group in rest}
    if len(several) == len(rest):
        yield from rest
        return
    seen: set[tuple[str, str]] = set()
    for concepts, positions in rest:
        fresh = [at for at in positions if (concepts.system, concepts.codes[at]) not in seen]
        seen.update((concepts.system, concepts.codes[at]) for at in fresh)
        if fresh:
            yield Group(concepts, fresh)
