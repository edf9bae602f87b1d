"""What a transaction leaves open, decided: conditional creates, links, conditional references.

https://hl7.org/fhir/R4/http.html#ccreate and #trules
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from ehr_server.access.find import matches as find_matches
from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import follow, place_of, scan
from ehr_server.definitions import definitions
from ehr_server.errors import PreconditionFailed, Unprocessable
from ehr_server.fhir.references import parse
from ehr_server.hashing import hash64
from ehr_server.search.parse import parse_criteria
from ehr_server.store.connect import Connection
from ehr_server.store.read import newest, places


def locks(changes: Sequence[Change]) -> Iterator[int]:
    """The locks that keep the decisions true until the commit.

    A conditional create locks its criteria; whoever writes an identifier locks it by its value,
    so that neither can slip in between another's look and its write. An update or delete locks
    the id. Plain creates without identifiers lock nothing.
    """
    for change in changes:
        if change.deed != "create":
            yield hash64("id", *change.identity)
        if change.if_none_exist is not None:
            yield hash64("criteria", change.type, change.if_none_exist)
            for value in _identifiers_sought(change.if_none_exist):
                yield hash64("identifier", change.type, value)
        identifiers = (change.resource or {}).get("identifier")
        for identifier in identifiers if isinstance(identifiers, list) else [identifiers]:
            if isinstance(identifier, dict) and "value" in identifier:
                yield hash64("identifier", change.type, str(identifier["value"]))


def matches(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Look what conditional creates match: nothing, then create; one, then that; more, 412."""
    for change in changes:
        if change.if_none_exist is None:
            continue
        found = _found(means, connection, change.type, change.if_none_exist)
        if len(found) > 1:
            raise PreconditionFailed(
                "ifNoneExist matches more than one resource; narrow the criteria.",
                vi="ifNoneExist khớp nhiều tài nguyên; xin thu hẹp điều kiện.",
                expression=(change.where,),
            )
        if found:
            change.id = found[0]
            change.place = places(connection, [change.identity])[change.identity]
            version = newest(means.store, connection, change.type, [change.place])
            change.matched = version[change.place.key]


def links(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Point every link of the transaction to where its target lies, in place."""
    known = dict(_full_urls(changes))
    sought: dict[str, str] = {}
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
            elif parse(target, means.base_url).kind == "conditional":
                if target not in sought:
                    sought[target] = _sought(means, connection, change, reference)
                reference["reference"] = sought[target]
            elif target.startswith(("urn:uuid:", "urn:oid:")) and change.full_url is not None:
                raise Unprocessable(
                    f"{target} is the fullUrl of no entry of this transaction.",
                    vi=f"{target} không phải fullUrl của mục nào trong giao dịch này.",
                    expression=(place_of(change, reference),),
                )


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


def _sought(
    means: Means, connection: Connection, change: Change, reference: Mapping[str, Any]
) -> str:
    target = parse(str(reference["reference"]), means.base_url)
    type_name, criteria = target.type or "", target.query or ""
    if type_name not in definitions().type_number:
        raise Unprocessable(
            f"{type_name} is not a resource type.", expression=(place_of(change, reference),)
        )
    found = _found(means, connection, type_name, criteria)
    if len(found) != 1:
        count = "more than one resource" if found else "nothing"
        raise PreconditionFailed(
            f"The conditional reference to {type_name} matches {count}; it must match one.",
            vi=f"Tham chiếu có điều kiện tới {type_name} phải khớp đúng một tài nguyên.",
            expression=(place_of(change, reference),),
        )
    return f"{type_name}/{found[0]}"


def _found(means: Means, connection: Connection, type_name: str, criteria: str) -> list[str]:
    query = parse_criteria(type_name, criteria, means.zone, means.base_url)
    return find_matches(means.store, connection, query, means.caller)


def _identifiers_sought(criteria: str) -> Iterator[str]:
    for name, value in parse_qsl(criteria):
        if name == "identifier":
            yield value.rpartition("|")[2]
