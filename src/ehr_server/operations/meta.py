"""$meta, $meta-add, $meta-delete: the profiles, tags and security labels of a resource.

https://hl7.org/fhir/R4/resource-operation-meta.html, resource-operation-meta-add.html and
resource-operation-meta-delete.html

"The identity of a tag or security label is the system+code", of a profile its url: each is there
once. The standard lets labels change without a new version; here they make one, because a version
is never changed once it is written: its bytes are what was served, its history says who labelled
what and when, and exports and replicas learn of it as of any other change. What changes nothing
makes no version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.access.include import Reader, read_places
from ehr_server.access.seen import readable, visible
from ehr_server.call import Answer, Call, Route, version_headers, version_in
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.definitions import definitions
from ehr_server.errors import Gone, Invalid, NotFound, NotSupported
from ehr_server.fhir import json
from ehr_server.fhir.parameters import Known, parameters
from ehr_server.operations.given import asked, needed
from ehr_server.redact import id_without_number, without_numbers
from ehr_server.store.connect import snapshot
from ehr_server.store.read import DELETE, Version, any_places, current, vread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ehr_server.store.connect import Connection

SUMMED_UP_MAX = 10_000  # resources whose labels are put together
_AT_ONCE = 1_000  # places of one statement

_DEFINITIONS = "http://hl7.org/fhir/OperationDefinition/Resource-"
_SETS = ("profile", "security", "tag")

Labels = dict[str, list[Any]]  # of a Meta: profile, security, tag


def meta(call: Call) -> Answer:
    """200 with the Meta of the current version, or of the one that the address names.

    Raises `NotFound`, `Gone`.
    """
    asked(call, {})
    version = _version(call)
    call.caller.trail.saw([version.comp])
    resource = json.read_stored(version.content)
    return _answer(resource["meta"], version_headers(version.ver, version.at))


def meta_of_type(call: Call) -> Answer:
    """200 with "all profiles, tags and security labels" of the type.

    Raises `NotSupported` where there are more than 10,000 resources: no index lists labels, and a
    look at all of millions is no answer to one request.
    """
    asked(call, {})
    return _summed_up(call, [call.parts["type"]])


def meta_of_system(call: Call) -> Answer:
    """So too of all types together."""
    asked(call, {})
    return _summed_up(call, definitions().resource_types)


def meta_add(call: Call) -> Answer:
    """200 with the Meta that there is then: labels that were there already stay as they are.

    Raises `NotFound`, `Gone`; `Invalid` for what is no Meta; `PreconditionFailed` by If-Match.
    """
    return _changed(call, added)


def meta_delete(call: Call) -> Answer:
    """200 with the Meta that is left; "it is not an error if these do not exist". As above."""
    return _changed(call, deleted)


def added(now: Labels, sent: Labels) -> Labels:
    """The labels, and those sent that are not among them."""
    return {
        name: _once([*now.get(name, ()), *sent.get(name, ())])
        for name in _SETS
        if now.get(name) or sent.get(name)
    }


def deleted(now: Labels, sent: Labels) -> Labels:
    """The labels without those sent."""
    left = {
        name: [one for one in now[name] if _identity(one) not in map(_identity, sent.get(name, ()))]
        for name in _SETS
        if name in now
    }
    return {name: several for name, several in left.items() if several}


def _identity(label: Any) -> Any:
    return (label.get("system"), label.get("code")) if isinstance(label, dict) else label


def _once(labels: Iterable[Any]) -> list[Any]:
    return list({_identity(one): one for one in reversed(list(labels))}.values())[::-1]


def _changed(call: Call, how: Callable[[Labels, Labels], Labels]) -> Answer:
    """A change of labels is a patch: who writes the same resource meanwhile is not undone."""
    sent, type_name = _sent(call), call.parts["type"]

    def labelled(resource: dict[str, Any]) -> dict[str, Any]:
        kept = {name: v for name, v in resource["meta"].items() if name not in _SETS}
        return {**resource, "meta": kept | how(resource["meta"], sent)}

    if_match = version_in(call.request.headers.get("if-match"), "If-Match")
    change = Change(
        "patch", type_name, call.parts["id"], where=type_name, if_match=if_match, patch=labelled
    )
    (done,) = apply(call.means, [change])
    if done.content is None:
        raise ValueError("a patch leaves a content")
    content = json.read_stored(done.content)
    return _answer(content["meta"], version_headers(done.ver, done.at))


def _sent(call: Call) -> Labels:
    """The Meta that was posted. Whether its parts are what they should be, the write decides."""
    given = needed(asked(call, {"meta": Known("Meta")}), "meta")
    unknown = [name for name in given if name not in _SETS]
    if unknown or not given:
        told = without_numbers(unknown[0])[:64] if unknown else ""
        raise Invalid(
            f"Of a Meta only profile, security and tag can be changed, not {told}."
            if unknown
            else "The Meta names no profile, security or tag.",
            vi="Chỉ thay đổi được profile, security và tag của Meta.",
            expression=("Parameters.parameter.valueMeta",),
        )
    if not all(isinstance(several, list) for several in given.values()):
        raise Invalid(
            "profile, security and tag of a Meta are lists.",
            vi="profile, security và tag của Meta là danh sách.",
            expression=("Parameters.parameter.valueMeta",),
        )
    return dict(given)


def _version(call: Call) -> Version:
    """The version that the address names. Raises `NotFound`, `Gone`."""
    type_name, id_, vid = call.parts["type"], call.parts["id"], call.parts.get("vid")
    told = f"{type_name}/{id_without_number(id_)}"
    with call.store.connection() as connection, snapshot(connection):
        at = readable(call.store, connection, call.caller, type_name, id_)
        if at is None:
            raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
        if vid is not None:
            ver = int(vid) if vid.isascii() and vid.isdigit() and len(vid) < 10 else 0
            found = vread(call.store, connection, type_name, at, ver)
            if found is not None and not _is_visible(call, connection, found):
                found = None
        else:
            found = current(call.store, connection, type_name, at) if at.live else None
    if vid is not None and found is None:
        raise NotFound(
            f"{told} has no version {id_without_number(vid)}.",
            vi=f"{told} không có phiên bản {id_without_number(vid)}.",
        )
    if found is None or found.deed == DELETE:
        raise Gone(f"{told} was deleted.", vi=f"{told} đã bị xóa.")
    return found


def _is_visible(call: Call, connection: Connection, version: Version) -> bool:
    (is_told,) = visible(call.store, connection, call.caller, [version.content])
    return is_told


def _summed_up(call: Call, types: Sequence[str]) -> Answer:
    labels: Labels = {}
    with call.store.connection() as connection, snapshot(connection):
        there = any_places(connection, types, SUMMED_UP_MAX + 1)
        if len(there) > SUMMED_UP_MAX:
            raise NotSupported(
                f"There are more than {SUMMED_UP_MAX:,} resources, whose labels no index"
                " lists: ask $meta of one resource, or search by _tag, _security, _profile.",
                vi=f"Có hơn {SUMMED_UP_MAX:,} tài nguyên, không có chỉ mục liệt kê nhãn: hãy"
                " hỏi $meta của một tài nguyên, hoặc tìm bằng _tag, _security, _profile.",
            )
        reader = Reader(call.store, connection, call.caller, call.means.rules)
        in_order = sorted(there.items(), key=lambda pair: pair[1].key)
        places_of = [(one, (at.comp, at.key)) for one, at in in_order]
        for begin in range(0, len(places_of), _AT_ONCE):
            for match in read_places(reader, dict(places_of[begin : begin + _AT_ONCE])):
                labels = added(labels, json.read_stored(match.content)["meta"])
    return _answer(labels)


def _answer(found: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    body = json.write(parameters([("return", "valueMeta", found)]))
    return Answer(200, body, headers or {})


ROUTES = (
    Route(f"{_DEFINITIONS}meta", "GET", "$meta", meta_of_system),
    Route(f"{_DEFINITIONS}meta", "GET", "{type}/$meta", meta_of_type),
    Route(f"{_DEFINITIONS}meta", "GET", "{type}/{id}/$meta", meta),
    Route(f"{_DEFINITIONS}meta", "GET", "{type}/{id}/_history/{vid}/$meta", meta),
    Route(f"{_DEFINITIONS}meta-add", "POST", "{type}/{id}/$meta-add", meta_add),
    Route(f"{_DEFINITIONS}meta-delete", "POST", "{type}/{id}/$meta-delete", meta_delete),
)
