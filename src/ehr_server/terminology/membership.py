"""Whether a code is in a value set, without expanding it where that can be.

https://hl7.org/fhir/R4/valueset.html#compositions as closures with three answers: True, False, and
None for what cannot be said because a system is not loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ehr_server.terminology.filters import selected
from ehr_server.terminology.refusals import NotLoaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ehr_server.terminology.composition import Composition, Part
    from ehr_server.terminology.concepts import Concepts

Member = Callable[[str | None, str], bool | None]  # system (None: any), code
_Test = Callable[[str], bool | None]
_System = Callable[[str], "Concepts | None"]


def membership(made_of: Composition, system: _System, of_set: Callable[[str], Member]) -> Member:
    """The closure of a composition.

    `system` gives the concepts of a canonical, None if it is not loaded; `of_set` the closure of
    another value set. Raises `Refusal` for filters that cannot be.
    """
    included = _any(made_of.include, system, of_set)
    if made_of.exclude:
        included = _without(included, _any(made_of.exclude, system, of_set))
    if not made_of.has_inactive:
        included = _without(included, _inactive(made_of.include, system))
    return included


def unknown(_system: str | None, _code: str) -> None:
    """The closure of a value set that is not loaded."""
    return


def _any(parts: Sequence[Part], system: _System, of_set: Callable[[str], Member]) -> Member:
    """In at least one of the parts."""
    by_system: dict[str, list[_Test]] = {}
    others: list[Member] = []
    for part in parts:
        imported = [of_set(one) for one in part.value_sets]
        if part.system:
            test = _narrowed(part.system, _test(part, system), imported)
            by_system.setdefault(part.system, []).append(test)
        else:
            others.append(_every(imported))
    if others:
        return _of_several(by_system, others)
    if len(by_system) == 1:
        ((only, tests),) = by_system.items()
        return _of_one_system(only, _either(tests))
    return _of_systems({name: _either(tests) for name, tests in by_system.items()})


def _of_one_system(system: str, test: _Test) -> Member:
    def member(asked: str | None, code: str) -> bool | None:
        return test(code) if asked == system or asked is None else False

    return member


def _of_systems(tests: dict[str, _Test]) -> Member:
    def member(asked: str | None, code: str) -> bool | None:
        if asked is None:
            return _or(test(code) for test in tests.values())
        test = tests.get(asked)
        return False if test is None else test(code)

    return member


def _of_several(by_system: dict[str, list[_Test]], others: Sequence[Member]) -> Member:
    own = _of_systems({name: _either(tests) for name, tests in by_system.items()})
    every = (own, *others)
    return lambda asked, code: _or(member(asked, code) for member in every)


def _test(part: Part, system: _System) -> _Test:
    """Whether a code of the part's system is in the part, its imported value sets aside.

    An abstract concept, there to group others, is in only where it is listed.
    """
    concepts = system(part.canonical)
    if part.listed:
        if concepts is not None and not concepts.is_case_sensitive:
            folded = frozenset(one["code"].casefold() for one in part.listed)
            return lambda code: code.casefold() in folded
        return frozenset(one["code"] for one in part.listed).__contains__
    if concepts is None:
        return _unsaid
    otherwise = False if concepts.is_whole else None
    find = concepts.find
    if part.is_whole:
        out = concepts.abstract
        return lambda code: otherwise if (at := find(code)) is None else at not in out
    try:
        positions = selected(concepts, part.filters) - concepts.abstract
    except NotLoaded:
        return _unsaid
    return lambda code: otherwise if (at := find(code)) is None else at in positions


def _unsaid(_code: str) -> None:
    return


def _inactive(parts: Iterable[Part], system: _System) -> Member:
    tests: dict[str, _Test] = {}
    for part in parts:
        concepts = system(part.canonical) if part.system else None
        if concepts is not None:
            tests[part.system] = _is_inactive(concepts)
    return _of_systems(tests)


def _is_inactive(concepts: Concepts) -> _Test:
    return lambda code: concepts.find(code) in concepts.inactive


def _narrowed(system: str, test: _Test, imported: Sequence[Member]) -> _Test:
    """In the part and in every imported value set."""
    if not imported:
        return test
    every = _every(imported)

    def both(code: str) -> bool | None:
        own = test(code)
        return own if own is False else _and((own, every(system, code)))

    return both


def _every(members: Sequence[Member]) -> Member:
    if len(members) == 1:
        return members[0]
    return lambda asked, code: _and([member(asked, code) for member in members])


def _either(tests: Sequence[_Test]) -> _Test:
    return tests[0] if len(tests) == 1 else lambda code: _or(test(code) for test in tests)


def _without(member: Member, excluded: Member) -> Member:
    def rest(asked: str | None, code: str) -> bool | None:
        answer = member(asked, code)
        if answer is False:
            return False
        out = excluded(asked, code)
        return _and((answer, None if out is None else not out))

    return rest


def _or(answers: Iterable[bool | None]) -> bool | None:
    found: bool | None = False
    for one in answers:
        if one:
            return True
        if one is None:
            found = None
    return found


def _and(answers: Iterable[bool | None]) -> bool | None:
    found: bool | None = True
    for one in answers:
        if one is False:
            return False
        if one is None:
            found = None
    return found
