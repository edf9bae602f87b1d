"""What a transaction leaves open, decided: conditional creates, links, conditional references.

https://hl7.org/fhir/R4/http.html#ccreate and #trules
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from ehr_server.access.conditional import matches as find_matches
from ehr_server.access.find import at_most
from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import follow, place_of, scan
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid, PreconditionFailed, Unprocessable
from ehr_server.fhir.bundle import identity, version
from ehr_server.fhir.outcome import issues_of
from ehr_server.fhir.references import parse
from ehr_server.hashing import hash64
from ehr_server.identity import forms
from ehr_server.redact import id_without_number, without_numbers
from ehr_server.search.escapes import split, unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parse import parse_criteria
from ehr_server.search.query import Query
from ehr_server.store.connect import Collision, Connection
from ehr_server.store.read import DELETE, newest, places

Criteria = tuple[str, str]  # type, criteria as in an address


def locks(changes: Sequence[Change]) -> Iterator[int]:
    """The locks that keep the decisions true until the commit.

    What is conditional locks its criteria; whoever writes an identifier locks it by its value and
    by the number that it is, in whatever spelling and naming system, so that neither can slip in
    between another's look and its write. An update or delete locks the id. Plain creates without
    identifiers lock nothing.
    """
    for change in changes:
        if change.deed != "create":
            yield hash64("id", *change.identity)
        for criteria in (change.if_none_exist, change.criteria):
            if criteria is not None:
                values = set(_identifiers_sought(criteria))
                if not values:  # else the same criteria have the same locks already
                    yield hash64("criteria", change.type, criteria.removeprefix("?"))
                for value in values:
                    yield hash64("identifier", change.type, value)
        for value in set(_identifiers_written(change.resource or {})):
            yield hash64("identifier", change.type, value)


def matches(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Look what conditional creates match: nothing, then create; one, then that; more, 412. And
    whether the criteria of the others still mean what was settled.

    Raises `Collision` when another request takes away what was found, or adds to it.
    """
    settled = [change for change in changes if change.criteria is not None]
    if [change.meant for change in settled] != ids_meant(means, connection, settled):
        raise Collision
    asked = [(change, change.if_none_exist) for change in changes if change.if_none_exist]
    found = _find(
        means, connection, [((change.type, criteria), change) for change, criteria in asked]
    )
    for change, criteria in asked:
        ids = found[change.type, criteria]
        if len(ids) > 1:
            raise PreconditionFailed(
                "ifNoneExist matches more than one resource; narrow the criteria.",
                vi="ifNoneExist khớp nhiều tài nguyên; xin thu hẹp điều kiện.",
                expression=(change.where,),
            )
        if ids:
            change.id = ids[0]
    _fetch(
        means, connection, [change for change, criteria in asked if found[change.type, criteria]]
    )


def ids_meant(means: Means, connection: Connection, changes: Sequence[Change]) -> list[list[str]]:
    """For each change the ids that its criteria match: none, one, or enough to tell several.

    A delete is about the very record that a search finds: of one that was merged it does not take
    the one that survives.
    """
    asked = [((change.type, change.criteria or ""), change) for change in changes]
    written = [(criteria, change) for criteria, change in asked if change.deed != "delete"]
    found = _find(means, connection, written) if written else {}
    return [
        [id_ for id_, _ in versions_meant(means, connection, change, 2)]
        if change.deed == "delete"
        else found[criteria]
        for criteria, change in asked
    ]


def versions_meant(
    means: Means, connection: Connection, change: Change, most: int
) -> list[tuple[str, int]]:
    """Id and version of what the criteria of a change match, so many at most."""
    query = _query(means, (change.type, change.criteria or ""), change)
    found = at_most(means.store, connection, replace(query, order=()), means.caller, most)
    return [(identity(row.content)[1], version(row.content)) for row in found]


def links(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Point every link of the transaction to where its target lies, in place."""
    known = dict(_full_urls(changes))
    sought: list[tuple[Change, dict[str, Any], Criteria]] = []
    for change in changes:
        if change.resource is None or change.matched is not None:
            continue
        change.references, is_elsewhere = scan(change.resource, known)
        if is_elsewhere:
            follow(change.resource, known)
        for reference in change.references:
            target = reference["reference"]
            if target in known:
                reference["reference"] = known[target]
                continue
            parsed = parse(target, means.base_url)
            if parsed.kind == "local":
                # The server's own address is left out: a record outlives it.
                reference["reference"] = target.removeprefix(f"{means.base_url}/")
            elif parsed.kind == "conditional":
                sought.append((change, reference, (parsed.type or "", parsed.query or "")))
            elif parsed.kind == "urn" and change.full_url is not None:
                head, colon, tail = target.rpartition(":")
                told = f"{head}{colon}{id_without_number(tail)}"
                raise Unprocessable(
                    f"{told} is the fullUrl of no entry of this transaction.",
                    vi=f"{told} không phải fullUrl của mục nào trong giao dịch này.",
                    expression=(place_of(change, reference),),
                )
    _resolve(means, connection, sought)


def _fetch(means: Means, connection: Connection, matched: Sequence[Change]) -> None:
    """What conditional creates answer with; a statement for the places and one for each type."""
    lie = places(connection, [change.identity for change in matched])
    for type_name in {change.type for change in matched}:
        same = [change for change in matched if change.type == type_name]
        at = [lie[change.identity] for change in same]
        versions = newest(means.store, connection, type_name, at)
        for change, place in zip(same, at, strict=True):
            change.place, change.matched = place, versions.get(place.key)
            if change.matched is None or change.matched.deed == DELETE:
                raise Collision  # it was moved or deleted since it was found


def _full_urls(changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    for change in changes:
        if change.full_url and change.deed != "delete":
            here = f"{change.type}/{change.id}"
            yield change.full_url, here
            # A sender's own address, as in http://his.local/fhir/Patient/7: its resources may
            # refer to each other by the relative form (bundle.html#references).
            tail = "/".join(change.full_url.rsplit("/", 2)[1:])
            if tail.startswith(f"{change.type}/"):
                yield tail, here


def _resolve(
    means: Means,
    connection: Connection,
    sought: Sequence[tuple[Change, dict[str, Any], Criteria]],
) -> None:
    """Conditional references become literal ones. Raises `PreconditionFailed`, `Unprocessable`."""
    for change, reference, (type_name, _) in sought:
        if type_name not in definitions().type_number:
            told = without_numbers(type_name)
            raise Unprocessable(
                f"{told} is not a resource type.",
                vi=f"{told} không phải loại tài nguyên.",
                expression=(place_of(change, reference),),
            )
    found = _find(means, connection, [(criteria, change) for change, _, criteria in sought])
    for change, reference, criteria in sought:
        ids = found[criteria]
        if len(ids) != 1:
            count = "more than one resource" if ids else "nothing"
            raise PreconditionFailed(
                f"The conditional reference to {criteria[0]} matches {count}; it must match one.",
                vi=f"Tham chiếu có điều kiện tới {criteria[0]} phải khớp đúng một tài nguyên.",
                expression=(place_of(change, reference),),
            )
        reference["reference"] = f"{criteria[0]}/{ids[0]}"


def _find(
    means: Means, connection: Connection, asked: Iterable[tuple[Criteria, Change]]
) -> dict[Criteria, list[str]]:
    distinct = dict(asked)
    queries = [_query(means, criteria, change) for criteria, change in distinct.items()]
    found = find_matches(means.store, connection, queries, means.caller)
    return dict(zip(distinct, found, strict=True))


def _query(means: Means, criteria: Criteria, change: Change) -> Query:
    try:
        return parse_criteria(*criteria, means.rules)
    except Invalid as refusal:
        here = (change.where,)
        refusal.issues = tuple(replace(one, expression=here) for one in issues_of(refusal))
        raise


def _identifiers_sought(criteria: str) -> Iterator[str]:
    """What keys end with is the same for who seeks an identifier and who writes it."""
    for name, text in parse_qsl(criteria.removeprefix("?")):
        for one in split(text, ",") if name == "identifier" else ():
            try:
                parts = [unescape(part) for part in split(one, "|")]
            except Malformed:  # refused when the criteria are parsed
                continue
            system = parts[0] if len(parts) > 1 else None
            for key in forms.sought(system, parts[-1], of_person=True):
                yield key[-1]


def _identifiers_written(resource: dict[str, Any]) -> Iterator[str]:
    held = resource.get("identifier")
    for identifier in held if isinstance(held, list) else [held]:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            for key in forms.keys(identifier.get("system"), identifier["value"]):
                yield key[-1]
