"""$data-quality: which findings did not stand in the way, how often, and from whom.

An operation of this server, not of the standard; described in docs/guides/validation.md. Every
version that is stored keeps the warnings about it (`store.findings`); this counts them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ehr_server.call import Answer, Call, Route
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.dates import span
from ehr_server.operations.given import in_address, in_resource
from ehr_server.store.findings import Count, Sought, counts

DEFINITION = "http://ehr-server.org/fhir/OperationDefinition/data-quality"
ROWS_MAX = 1_000

_KNOWN = ("_since", "_until", "sender", "type")


def data_quality(call: Call) -> Answer:
    """200 with Parameters: a `row` for each sender and kind of finding, the most frequent first.

    `_since` and `_until` are dates or instants, both inclusive. At most 1,000 rows; `more` tells
    whether there are others. Raises `Invalid` for a parameter that is not understood.
    """
    sought = _sought(call)
    with call.store.connection() as connection:
        found = counts(connection, sought, ROWS_MAX + 1)
    parameters: list[dict[str, Any]] = [
        {"name": "more", "valueBoolean": len(found) > ROWS_MAX},
        *(_row(one) for one in found[:ROWS_MAX]),
    ]
    return Answer(200, json.write({"resourceType": "Parameters", "parameter": parameters}))


def _sought(call: Call) -> Sought:
    given: dict[str, str] = {}
    for name, value in _given(call):
        if name in given or not isinstance(value, str):
            raise Invalid(
                f"{name} is given once, as a text.", vi=f"{name} chỉ được nêu một lần, là chữ."
            )
        given[name] = value
    type_name = given.get("type")
    if type_name is not None and type_name not in definitions().type_number:
        raise Invalid(
            f"{type_name[:64]} is not a resource type of FHIR R4.",
            vi=f"{type_name[:64]} không phải loại tài nguyên của FHIR R4.",
        )
    return Sought(
        _instant(call, given, "_since"),
        _instant(call, given, "_until"),
        given.get("sender"),
        type_name,
    )


def _given(call: Call) -> list[tuple[str, Any]]:
    given = list(in_address(call, _KNOWN))
    request = call.request
    if request.method == "POST" and (request.resource is not None or request.body.strip()):
        sent = request.parsed()
        if sent.get("resourceType") != "Parameters":
            raise Invalid(
                "The body of $data-quality is a Parameters resource.",
                vi="Nội dung của $data-quality là một tài nguyên Parameters.",
            )
        given += in_resource(sent, _KNOWN)
    return given


def _instant(call: Call, given: dict[str, str], name: str) -> datetime | None:
    """The start of `_since`, the end of `_until`."""
    if name not in given:
        return None
    try:
        # In a URL the plus of a time zone is a space unless the sender escaped it.
        return span(given[name].replace(" ", "+"), call.means.zone)[name == "_until"]
    except ValueError as error:
        raise Invalid(
            f"{name} {error}.",
            vi=f"{name} phải là ngày hoặc thời điểm, như 2026-05-31 hay 2026-05-31T08:00:00Z.",
        ) from None


def _row(one: Count) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "sender", "valueString": one.sender},
        {"name": "type", "valueCode": one.kind.type},
        {"name": "profile", "valueCanonical": one.kind.profile},
        {"name": "rule", "valueCode": one.kind.rule},
        {"name": "expression", "valueString": one.kind.path},
        {"name": "severity", "valueCode": one.kind.severity},
        {"name": "count", "valueInteger": one.count},
    ]
    # No value is empty in FHIR: a sender who told no name, a rule of the standard itself.
    return {"name": "row", "part": [part for part in parts if "" not in part.values()]}


ROUTES = (
    Route(DEFINITION, "GET", "$data-quality", data_quality),
    Route(DEFINITION, "POST", "$data-quality", data_quality),
)
