"""$data-quality: which findings did not stand in the way, how often, and from whom.

An operation of this server, not of the standard; described in docs/guides/validation.md. Every
version that is stored keeps the warnings about it (`store.findings`); this counts them.
"""

from __future__ import annotations

from typing import Any

from ehr_server.call import Answer, Call, Route
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import answered, asked, moment
from ehr_server.redact import without_numbers
from ehr_server.store.findings import Count, Sought, counts

DEFINITION = "http://ehr-server.org/fhir/OperationDefinition/data-quality"
ROWS_MAX = 1_000

_KNOWN = {
    "_since": Known("dateTime"),
    "_until": Known("dateTime"),
    "sender": Known("string"),
    "type": Known("code"),
}


def data_quality(call: Call) -> Answer:
    """200 with Parameters: a `row` for each sender and kind of finding, the most frequent first.

    `_since` and `_until` are dates or instants, both inclusive. At most 1,000 rows; `more` tells
    whether there are others. Raises `Invalid` for a parameter that is not understood.
    """
    sought = _sought(call)
    with call.store.connection() as connection:
        found = counts(connection, sought, ROWS_MAX + 1)
    rows = (("row", "part", _row(one)) for one in found[:ROWS_MAX])
    return answered([("more", "valueBoolean", len(found) > ROWS_MAX), *rows])


def _sought(call: Call) -> Sought:
    sent = asked(call, _KNOWN)
    type_name = sent.one("type")
    if type_name is not None and type_name not in definitions().type_number:
        told = without_numbers(type_name)[:64]
        raise Invalid(
            f"{told} is not a resource type of FHIR R4.",
            vi=f"{told} không phải loại tài nguyên của FHIR R4.",
        )
    until = moment(call, sent, "_until", is_end=True)
    return Sought(moment(call, sent, "_since"), until, sent.one("sender"), type_name)


def _row(one: Count) -> list[tuple[str, str, Any]]:
    """A sender who told no name, and the standard itself as a profile, are left out."""
    return [
        ("sender", "valueString", one.sender),
        ("type", "valueCode", one.kind.type),
        ("profile", "valueCanonical", one.kind.profile),
        ("rule", "valueCode", one.kind.rule),
        ("expression", "valueString", one.kind.path),
        ("severity", "valueCode", one.kind.severity),
        ("count", "valueInteger", one.count),
    ]


ROUTES = (
    Route(DEFINITION, "GET", "$data-quality", data_quality),
    Route(DEFINITION, "POST", "$data-quality", data_quality),
)
