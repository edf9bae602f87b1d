"""Who refers to what is deleted: refused, or deleted along.

https://hl7.org/fhir/R4/http.html#delete: a server may refuse to delete a resource that others
refer to. A reference that names a version does not stand in the way: the version stays readable.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ehr_server.access.seen import readable, seen
from ehr_server.changes.change import Change, Done, Means
from ehr_server.errors import Conflict
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.references import parse
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.search.referring import hashes_by_leaf
from ehr_server.store.connect import Collision, Connection
from ehr_server.store.read import Place, contents_of
from ehr_server.store.referring import Candidate, candidates

Identity = tuple[str, str]

NAMED_MAX = 20  # who refers
_TOLD_MAX = 100  # what was deleted along
_COUNTED_MAX = 1_000  # who refers, of one leaf
_TOGETHER = 200  # contents looked at


@dataclass(frozen=True, slots=True)
class Referrer:
    """A live resource that refers to some that were asked for, and at which places."""

    type: str
    id: str
    key: int
    ver: int
    targets: tuple[Identity, ...]
    places: tuple[str, ...]

    def told(self) -> str:
        """`Observation/1 (Observation.subject.reference)`."""
        if not self.type:
            return "what you may not read"
        return f"{self.type}/{id_without_number(self.id)} ({', '.join(self.places)})"


def refuse(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Raises `Conflict` where something refers to what is deleted, and is not changed itself."""
    gone = {
        one.identity: one
        for one in changes
        if one.deed == "delete" and one.place is not None and one.place.live
    }
    if not gone:
        return
    changed = {one.place.key for one in changes if one.place is not None and one.matched is None}
    most = _COUNTED_MAX + len(changed)
    found = candidates(connection, hashes_by_leaf(gone), most)
    others = [one for one in found if one.key not in changed]
    named: list[Referrer] = []
    looked_at = 0
    for several in _batched(others):
        named += referrers(means, connection, several, gone)
        looked_at += len(several)
        if len(named) >= NAMED_MAX:
            break
    blocked = [gone[target] for one in named for target in one.targets]
    if named and all(one.cascades or one.cause is not None for one in blocked):
        raise Collision  # it came to refer since it was seen what does
    if named:
        told = _told_to(means, connection, named, among=others)
        raise Conflict(issues=list(_issues(gone, told, len(named) + len(others) - looked_at)))


def _told_to(
    means: Means, connection: Connection, named: Sequence[Referrer], among: Sequence[Candidate]
) -> list[Referrer]:
    """Those who refer, without name and place where the caller may not read them."""
    comps = {one.key: one.comp for one in among}
    readable: set[int] = set()
    for type_name in {one.type for one in named}:
        at = [Place(comps[one.key], one.key, live=True) for one in named if one.type == type_name]
        readable |= seen(means.store, connection, means.caller, type_name, at)
    return [
        one if one.key in readable else replace(one, type="", id="", places=()) for one in named
    ]


def referrers(
    means: Means,
    connection: Connection,
    among: Sequence[Candidate],
    targets: Collection[Identity],
    *,
    of_versions: bool = False,
) -> list[Referrer]:
    """Those of the candidates that do refer to one of the targets: hashes can be the same. Of
    references to a version only with `of_versions`."""
    rows = [(one.comp, one.key, one.ver, one.type) for one in among]
    contents = contents_of(means.store, connection, rows) if rows else {}
    found = []
    for one in among:
        if one.key not in contents:  # replaced meanwhile
            continue
        content = contents[one.key]
        resource = json.read_stored(content)
        there: dict[str, Identity] = {}
        for place, text in _references(resource, resource["resourceType"]):
            to = parse(text, means.rules.base)
            if to.kind == "local" and (to.version is None or of_versions):
                target = (to.type or "", to.id or "")
                if target in targets:
                    there[place] = target
        if there:
            whose = (*identity(content), one.key, one.ver)
            found.append(Referrer(*whose, tuple(dict.fromkeys(there.values())), tuple(there)))
    return found


def widen(means: Means, changes: Sequence[Change]) -> list[Change]:
    """The deletes of all that refers to what is to be deleted with `_cascade=delete`, and of what
    refers to that in turn. They are of the versions seen: if one is changed meanwhile, or another
    comes to refer, all is run again.

    Of one that the caller may not read, which is not deleted, nothing is. Raises `Conflict` where
    they are more than the setting `cascade_max`.
    """
    wave = {one.identity: one for one in changes if one.cascades and one.id is not None}
    if wave and means.caller.narrowing is not None:
        with means.store.connection() as connection:
            known_to = (means.store, connection, means.caller)
            wave = {name: one for name, one in wave.items() if readable(*known_to, *name)}
    known = {one.identity for one in changes if one.id is not None}
    extra: dict[Identity, Change] = {}
    most = means.cascade_max
    while wave:
        with means.store.connection() as connection:
            among = candidates(connection, hashes_by_leaf(wave), most + len(known) + 1)
            found = [
                one
                for several in _batched(among)
                for one in referrers(means, connection, several, wave)
            ]
        following: dict[Identity, Change] = {}
        for one in found:
            name = (one.type, one.id)
            if name not in known:
                cause = wave[one.targets[0]]
                following[name] = Change(
                    "delete", *name, where=cause.where, read=one.ver, cause=cause.cause or cause
                )
        extra |= following
        known |= following.keys()
        wave = following
        if len(extra) > most:
            raise Conflict(
                f"More than {most} resources would be deleted along (the setting cascade_max).",
                vi=f"Sẽ phải xóa theo hơn {most} tài nguyên (thiết lập cascade_max).",
                expression=(next(iter(extra.values())).where,),
            )
    return list(extra.values())


def told(changes: Sequence[Change], done: Sequence[Done], sent: int) -> list[Done]:
    """What became of the changes sent, the first ones; what was deleted along is told with them."""
    along = [one for one in zip(changes[sent:], done[sent:], strict=True) if one[1].ver]
    answered = []
    for change, one in zip(changes[:sent], done[:sent], strict=True):
        mine = [that for why, that in along if why.cause is change]
        answered.append(
            replace(one, status=200, findings=(*one.findings, _along(mine))) if mine else one
        )
    return answered


def _along(done: Sequence[Done]) -> Issue:
    counts = Counter(one.type for one in done)
    numbers = ", ".join(f"{count} {type_name}" for type_name, count in sorted(counts.items()))
    names = ", ".join(f"{one.type}/{id_without_number(one.id)}" for one in done[:_TOLD_MAX])
    more = ", ..." if len(done) > _TOLD_MAX else ""
    return Issue(
        "information",
        "informational",
        f"Deleted along: {numbers}: {names}{more}.",
        vi=f"Đã xóa theo: {numbers}: {names}{more}.",
    )


def _issues(gone: dict[Identity, Change], named: Sequence[Referrer], count: int) -> Iterator[Issue]:
    """One issue for each that cannot be deleted, who is known to refer named in it. How many do is
    not told where some of them may not be read."""
    number = f"more than {_COUNTED_MAX}" if count > _COUNTED_MAX else str(count)
    number, number_vi = f", {number} in all", f" {number.replace('more than', 'hơn')}"
    if not all(one.type for one in named):
        number = number_vi = ""
    shown = named[:NAMED_MAX]
    for target in dict.fromkeys(one for each in shown for one in each.targets):
        told = dict.fromkeys(each.told() for each in shown if target in each.targets)
        names = "; ".join(told)
        what = gone[target].told
        yield Issue(
            "error",
            "conflict",
            f"{what} cannot be deleted, as others refer to it{number}: {names}. Delete "
            "or change them first or in the same transaction, or delete with _cascade=delete.",
            (gone[target].where,),
            vi=f"Không thể xóa {what} vì còn{number_vi} tài nguyên tham chiếu: {names}. Xin xóa "
            "hoặc sửa chúng trước hay trong cùng giao dịch, hoặc xóa với _cascade=delete.",
        )


def _batched(among: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    return (among[at : at + _TOGETHER] for at in range(0, len(among), _TOGETHER))


def _references(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """The places and texts of the literal references. Those of a Bundle's entries are its own
    affair (`changes.links.scan`)."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, f"{path}[{index}]")
    elif isinstance(node, dict):
        is_bundle = node.get("resourceType") == "Bundle"
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield f"{path}.reference", value
            elif isinstance(value, dict | list) and not (is_bundle and name == "entry"):
                yield from _references(value, f"{path}.{name}")
