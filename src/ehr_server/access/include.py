"""`_include` and `_revinclude` run: the resources that come along with a page of matches.

https://hl7.org/fhir/R4/search.html#revinclude. Each goes through a query that access narrows, so
nothing comes along that the caller could not have found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.directories import ready
from ehr_server.access.find import Match
from ehr_server.access.restrict import restrict, searched
from ehr_server.definitions import definitions
from ehr_server.fhir import json, references
from ehr_server.fhir.bundle import identity
from ehr_server.fhirpath.flow import Many, many
from ehr_server.search.includes import all_references
from ehr_server.search.parameter import Parameter, Source, branches
from ehr_server.search.plan import Plan
from ehr_server.search.query import Alternative, At, Condition, Include, Negation, Query, SortKey
from ehr_server.search.rules import Rules
from ehr_server.search.types.reference import Target
from ehr_server.store.connect import Connection, Store, piped, snapshot
from ehr_server.store.read import places

INCLUDED_MAX = 1000  # further resources of a page

# A ring ends by itself, because nothing comes twice; a chain of any length would not. Each round
# costs a statement or more, and no organization is part of ten others, one within another.
ROUNDS_MAX = 10

_KEPT_MAX = 100  # compartments of a statement whose plan is kept
_Identity = tuple[str, str]  # type, id


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom resources are read and from where; `rules` say which references are our own."""

    store: Store
    connection: Connection
    caller: Caller
    rules: Rules


@dataclass(frozen=True, slots=True)
class Included:
    """`contents` as stored and served, none of them a match, none twice. `cut`: the includes, as
    they were sent, that led to more than may come along."""

    contents: tuple[bytes, ...] = ()
    cut: tuple[str, ...] = ()


def included(reader: Reader, matches: Sequence[Match], includes: Sequence[Include]) -> Included:
    """What comes along with the matches of one page, so that "each page stands alone".

    What is deleted, contained, not here or not of the type that was asked for is left out without
    a word, as the standard has it; a reference to a version leads to the current one. First come
    those that are referred to, in the order of the references, then those that refer, the newest
    first; then in the same way what these lead to.
    """
    if not matches or not includes:
        return Included()
    gathering = _Gathering(reader, matches)
    # Between the directory of ids and the record a resource may move to another compartment.
    with snapshot(reader.connection):
        gathering.run(matches, includes)
    contents = tuple(match.content for match in gathering.found)
    return Included(contents, tuple(gathering.cut))


class _Gathering:
    """What was found so far: `known` has the matches too, each with its place (comp, key)."""

    def __init__(self, reader: Reader, matches: Sequence[Match]) -> None:
        self._reader = reader
        self.known = {identity(match.content): (match.comp, match.key) for match in matches}
        self.found: list[Match] = []
        self.cut: dict[str, None] = {}

    @property
    def left(self) -> int:
        """How many may still come."""
        return INCLUDED_MAX - len(self.found)

    def run(self, matches: Sequence[Match], includes: Sequence[Include]) -> None:
        """One round from the matches, further ones from what came last."""
        begin: Sequence[Match] = matches
        for _ in range(ROUNDS_MAX):
            count = len(self.found)
            self._round(begin, includes)
            begin = self.found[count:]
            includes = [one for one in includes if one.iterate]
            if not begin or not includes or self.cut:
                return
        types = {identity(match.content)[0] for match in begin}
        self._cut(one for one in includes if any(_begins_at(one, name) for name in types))

    def _round(self, begin: Sequence[Match], includes: Sequence[Include]) -> None:
        self._add_referred([one for one in includes if not one.is_reverse], begin)
        identities = [identity(match.content) for match in begin]
        for one in includes:
            if one.is_reverse:
                self._add_referring(one, identities)

    def _add_referred(self, includes: Sequence[Include], begin: Sequence[Match]) -> None:
        wanted = _referred(includes, begin, self._reader.rules)
        places_of = self._places([one for one in wanted if one not in self.known])
        self._cut(wanted[one] for one in list(places_of)[self.left :])
        places_of = dict(list(places_of.items())[: self.left])
        for match in read_places(self._reader, places_of):
            self._add(identity(match.content), match)

    def _places(self, wanted: Sequence[_Identity]) -> dict[_Identity, tuple[int, int]]:
        """Where those lie that are there, in the order in which they are wanted."""
        found = places(self._reader.connection, wanted)
        return {
            one: (found[one].comp, found[one].key)
            for one in wanted
            if one in found and found[one].live
        }

    def _add_referring(self, include: Include, begin: Sequence[_Identity]) -> None:
        """One more than may come is asked for: it tells that there is more."""
        main_date = self._reader.rules.parameters.of(include.type).main_date
        order = (SortKey(main_date, True),) if main_date else ()
        for condition in _referring(include, begin):
            here = tuple(at for (name, _), at in self.known.items() if name == include.type)
            criteria = (condition, Negation(At(here))) if here else (condition,)
            query = searched(Query(include.type, criteria, order=order), self._reader.caller)
            limit = self.left
            several = _read(self._reader, [query], limit + 1)
            if len(several) > limit:
                self._cut([include])
            for match in several[:limit]:
                self._add(identity(match.content), match)

    def _add(self, one: _Identity, match: Match) -> None:
        self.known[one] = (match.comp, match.key)
        self.found.append(match)

    def _cut(self, includes: Iterable[Include]) -> None:
        self.cut |= dict.fromkeys(one.asked for one in includes)


def read_places(reader: Reader, places_of: Mapping[_Identity, tuple[int, int]]) -> list[Match]:
    """What lies at the places (comp, key) and may be seen, in the order given: a statement for
    each type, because access narrows each in its own way, all of them in one round trip."""
    by_type: dict[str, list[tuple[int, int]]] = {}
    for (type_name, _), place in places_of.items():
        by_type.setdefault(type_name, []).append(place)
    queries = [Query(type_name, (At(tuple(at)),)) for type_name, at in by_type.items()]
    by_key = {match.key: match for match in _read(reader, queries, len(places_of))}
    return [by_key[key] for _, key in places_of.values() if key in by_key]


def _read(reader: Reader, queries: Sequence[Query], limit: int) -> list[Match]:
    narrowed = [restrict(query, reader.caller) for query in queries]
    plans = [ready(reader.connection, query) for query in narrowed]
    with piped(reader.connection):
        cursors = [_begun(reader.connection, one, limit) for one in plans if one is not None]
        rows = [row for cursor in cursors for row in cursor.fetchall()]
    reader.caller.trail.saw(row[0] for row in rows)
    unpack = reader.store.contents.unpack
    return [Match(row[0], row[1], unpack(row[2], row[3])) for row in rows]


def _begun(connection: Connection, plan: Plan, limit: int) -> Any:
    """The statement of a plan, whose order has one stage: it is by key or by the main date."""
    (stage,) = plan.stages
    statement = plan.page(limit, stage, None)
    # As in `find`; but a plan that is kept is made for a handful: of 860 places it takes twice as
    # long as one made for them.
    prepare = None if plan.comps is not None and len(plan.comps) <= _KEPT_MAX else False
    return connection.execute(statement.text, statement.params, prepare=prepare)


def _begins_at(include: Include, type_name: str) -> bool:
    """Whether it leads anywhere from a resource of the type."""
    if not include.is_reverse:
        return include.type in ("", type_name)
    return include.target in (None, type_name) and any(
        not source.targets or type_name in source.targets for source in include.sources
    )


def _referred(
    includes: Sequence[Include], begin: Sequence[Match], rules: Rules
) -> dict[_Identity, Include]:
    """What the resources refer to, in order, each with the include that was first to ask."""
    found: dict[_Identity, Include] = {}
    followed: dict[str, list[tuple[Include, tuple[Source, ...]]]] = {}
    for match in begin if includes else ():
        type_name = identity(match.content)[0]
        if type_name not in followed:
            followed[type_name] = _followed(includes, type_name, rules)
        here = followed[type_name]
        resource = json.read_stored(match.content) if here else None
        for include, sources in here:
            for source in sources:
                for one in _targets(resource, source, rules.base):
                    if include.target in (None, one[0]):
                        found.setdefault(one, include)
    return found


def _followed(
    includes: Sequence[Include], type_name: str, rules: Rules
) -> list[tuple[Include, tuple[Source, ...]]]:
    """The includes that begin at the type, each with what it follows there."""
    return [
        (one, one.sources or all_references(type_name, rules))
        for one in includes
        if _begins_at(one, type_name)
    ]


def _targets(resource: Any, source: Source, base: str) -> Iterator[_Identity]:
    """The resources of this server that the resource refers to by the source."""
    for text in _texts(resource, source.parameter):
        reference = references.parse(text, base)
        type_name, id_ = reference.type, reference.id
        if reference.kind != "local" or type_name is None or id_ is None:
            continue
        if type_name in (source.targets or definitions().type_number):
            yield type_name, id_


def _texts(resource: Any, parameter: Parameter) -> Iterator[str]:
    for type_name, read in _readers(parameter):
        for value in read(resource, resource):
            held = value.get("valueReference", {}) if type_name == "Extension" else value
            text = held.get("reference") if isinstance(held, dict) else held
            if isinstance(text, str):
                yield text


@lru_cache(maxsize=4096)
def _readers(parameter: Parameter) -> tuple[tuple[str, Many], ...]:
    """What leads to the parameter's references. Not to what a Bundle holds: that is here."""
    return tuple(
        (branch.type, many(branch)) for branch in branches(parameter) if branch.type in _REFERRING
    )


_REFERRING = frozenset(("Reference", "Extension", "canonical", "uri", "url"))


def _referring(include: Include, begin: Sequence[_Identity]) -> Iterator[Condition]:
    """What a resource must meet to refer to one of those.

    What a Patient is the home of lies in the Patient's compartment: apart from the rest this is a
    scan of few compartments, and not a look through an index of all references.
    """
    at_home: list[Alternative] = []
    others: list[Alternative] = []
    for source in include.sources:
        for type_name, id_ in begin:
            if include.target in (None, type_name) and type_name in (
                source.targets or (type_name,)
            ):
                is_home = source.parameter.is_home and type_name == "Patient"
                term = Target(id_, (type_name,))
                (at_home if is_home else others).append(Alternative(source.parameter, term))
    for alternatives in (at_home, others):
        if alternatives:
            yield Condition(include.asked, tuple(alternatives))
