"""$document: a Composition with all that it refers to, as one Bundle.

https://hl7.org/fhir/R4/composition-operation-document.html,
https://hl7.org/fhir/R4/documents.html#content

First the Composition; then what it refers to itself, all of which must be there; then what that
refers to in turn, as far as it lies in the same patient's record or in nobody's, so that the
references of a document lead to entries of it (https://hl7.org/fhir/R4/bundle.html#references).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.find import Match, at_most
from ehr_server.access.include import Reader
from ehr_server.access.referred import is_of_a_person, named, referred
from ehr_server.access.seen import readable
from ehr_server.call import Answer, Call, Route
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.errors import Gone, Invalid, NotFound, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.parameters import Known
from ehr_server.fhir.references import ID, mentioned, parse
from ehr_server.operations.given import asked, needed, refuse
from ehr_server.redact import id_without_number
from ehr_server.search.query import At, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.fhir.parameters import Given
    from ehr_server.store.connect import Connection

RESOURCES_MAX = 1_000

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Composition-document"
_KNOWN = {"id": Known("uri"), "persist": Known("boolean"), "graph": Known("uri")}
_TYPE = "Composition"


def document(call: Call) -> Answer:
    """200 with the Bundle; with `persist` it is stored too, and Location says where.

    Raises `NotFound`, `Gone`; `Invalid` for a parameter; `Unprocessable` where the Composition
    refers to what is not here ("either returns a full document bundle, or returns an error").
    """
    sent = asked(call, _KNOWN)
    refuse(sent, "graph", "all that is referred to comes", "mọi tài nguyên được tham chiếu đều kèm")
    id_ = _id(call, sent)
    with call.store.connection() as connection:
        composition = _composition(call, connection, id_)
        matches = [composition, *_content(call, connection, composition)]
    made = _bundle(call, matches)
    if not sent.one("persist", otherwise=False):
        return Answer(200, json.write(made))
    change = Change("create", "Bundle", resource=json.read_stored(json.write(made)), where="Bundle")
    (done,) = apply(call.means, [change])
    location = f"{call.base_url}/Bundle/{done.id}/_history/{done.ver}"
    return Answer(200, done.content, {"Location": location})


def _id(call: Call, sent: Given) -> str:
    """From the address, or from `id`: an id, or the address of a Composition of this server."""
    if "id" in call.parts:
        if "id" in sent:
            raise Invalid(
                "The Composition is named by the address; leave out the parameter id.",
                vi="Địa chỉ đã nêu Composition; xin bỏ tham số id.",
                expression=("id",),
            )
        return call.parts["id"]
    text: str = needed(sent, "id")
    found = parse(text, call.base_url)
    if found.kind == "local" and found.type == _TYPE and found.id:
        return found.id
    if ID.fullmatch(text):
        return text
    raise Invalid(
        "The parameter id is the id of a Composition of this server; documents of other servers"
        " are not made here.",
        vi="Tham số id là id của một Composition trên máy chủ này; không tạo tài liệu từ máy chủ"
        " khác.",
        expression=("id",),
    )


def _composition(call: Call, connection: Connection, id_: str) -> Match:
    at = readable(call.store, connection, call.caller, _TYPE, id_)
    told = f"{_TYPE}/{id_without_number(id_)}"
    if at is not None and not at.live:
        raise Gone(f"{told} was deleted.", vi=f"{told} đã bị xóa.")
    if at is not None:
        query = Query(_TYPE, (At(((at.comp, at.key),)),))
        found = at_most(call.store, connection, query, call.caller, 1)
        if found:
            call.caller.trail.saw([at.comp])
            return found[0]
    raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")


def _content(call: Call, connection: Connection, composition: Match) -> Sequence[Match]:
    """What the Composition refers to, in its order, then what that refers to."""
    reader = Reader(
        call.store, connection, call.caller, replace(call.means.rules, base=call.base_url)
    )
    direct = named(reader, [composition])
    known = {identity(composition.content)}

    def may_come(number: int, comp: int) -> bool:
        return not number or not is_of_a_person(comp) or comp == composition.comp

    found = referred(reader, direct, known, may_come, RESOURCES_MAX)
    if len(found) > RESOURCES_MAX:
        raise Unprocessable(
            f"The document would have more than {RESOURCES_MAX:,} resources.",
            vi=f"Tài liệu sẽ có hơn {RESOURCES_MAX:,} tài nguyên.",
            expression=(_TYPE,),
        )
    here = {identity(match.content) for match in found} | known
    missing = [
        f"{type_name}/{id_without_number(id_)}"
        for type_name, id_ in direct
        if (type_name, id_) not in here
    ]
    missing += _elsewhere(call, composition)
    if missing:
        listed = ", ".join(missing)
        raise Unprocessable(
            f"The document would not be whole: the Composition refers to {listed}, not found here.",
            vi=f"Tài liệu sẽ không đầy đủ: Composition tham chiếu tới {listed}, không có ở đây.",
            expression=(_TYPE,),
        )
    return found


def _elsewhere(call: Call, composition: Match) -> list[str]:
    """The references of a Composition that lead to no resource of this server."""
    return [
        one.text
        for one in mentioned(composition.content, call.base_url)
        if one.kind not in ("local", "contained")
    ]


def _bundle(call: Call, matches: Sequence[Match]) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/documents.html#bundle: an identifier, a time, the contents as they
    are, each at its address."""
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": clock.new_urn()},
        "type": "document",
        "timestamp": clock.instant(clock.now()),
        "entry": [
            {
                "fullUrl": "/".join((call.base_url, *identity(match.content))),
                "resource": json.raw(match.content),
            }
            for match in matches
        ],
    }


ROUTES = (
    Route(_DEFINITION, "GET", "Composition/$document", document),
    Route(_DEFINITION, "POST", "Composition/$document", document),
    Route(_DEFINITION, "GET", "Composition/{id}/$document", document),
    Route(_DEFINITION, "POST", "Composition/{id}/$document", document),
)
