"""What a kick-off may ask for: _type, _since, _outputFormat.

https://hl7.org/fhir/uv/bulkdata/export.html#query-parameters. A parameter that is not known is
refused by name, unless the sender prefers lenient handling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir.dates import span
from ehr_server.search.parse import PRESENTATION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ehr_server.call import Call

_FORMATS = {"application/fhir+ndjson", "application/ndjson", "ndjson"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the types, sorted, and the instant after which they changed."""

    types: tuple[str, ...]
    since: datetime | None


def wish_of(call: Call, *, of_patients: bool) -> Wish:
    """The parameters of the query, or of the Parameters resource that was posted.

    Raises `Invalid` (400), which names the parameter.
    """
    types: list[str] = []
    since: datetime | None = None
    is_lenient = call.request.preference("handling") == "lenient"
    for name, value in _given(call):
        if name == "_type":
            types += [one.strip() for one in value.split(",") if one.strip()]
        elif name == "_since":
            since = _instant(call, value)
        elif name == "_outputFormat":
            _check_format(value)
        elif name not in PRESENTATION and not is_lenient:
            raise Invalid(
                f"$export does not know the parameter {name}; it knows _type, _since and"
                " _outputFormat.",
                vi=f"$export không có tham số {name}; chỉ có _type, _since và _outputFormat.",
            )
    possible = _possible_types(of_patients=of_patients)
    _check_types(types, possible)
    return Wish(tuple(sorted(set(types) or possible)), since)


def _given(call: Call) -> Iterable[tuple[str, str]]:
    yield from call.request.query
    if call.request.method != "POST" or not (call.request.body or call.request.resource):
        return
    resource = call.request.parsed()
    parameters = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        raise Invalid(
            "The body of $export is a Parameters resource.",
            vi="Nội dung của $export là một tài nguyên Parameters.",
        )
    for parameter in parameters:
        yield _named(parameter)


def _named(parameter: object) -> tuple[str, str]:
    if isinstance(parameter, dict):
        name = parameter.get("name")
        values = [value for key, value in parameter.items() if key.startswith("value")]
        if isinstance(name, str) and len(values) == 1 and isinstance(values[0], str):
            return name, values[0]
        raise Invalid(
            f"The parameter {name} of $export has one value, a text or an instant.",
            vi=f"Tham số {name} của $export có đúng một giá trị, là chữ hoặc thời điểm.",
        )
    raise Invalid(
        "A parameter of $export is an object with a name and a value.",
        vi="Tham số của $export là một đối tượng gồm name và giá trị.",
    )


def _instant(call: Call, text: str) -> datetime:
    try:
        # In a URL the plus of a time zone is a space unless the sender escaped it.
        return span(text.replace(" ", "+"), call.means.zone)[0]
    except ValueError as error:
        raise Invalid(
            f"_since {error}.", vi="_since phải là một thời điểm, như 2026-05-31T08:00:00+07:00."
        ) from None


def _check_format(text: str) -> None:
    if text.replace(" ", "+") not in _FORMATS:
        raise Invalid(
            "_outputFormat can only be application/fhir+ndjson.",
            vi="_outputFormat chỉ có thể là application/fhir+ndjson.",
        )


def _possible_types(*, of_patients: bool) -> tuple[str, ...]:
    if not of_patients:
        return definitions().resource_types
    members = definitions().compartments["Patient"]
    return tuple(sorted({"Patient", *(name for name, codes in members.items() if codes)}))


def _check_types(types: Iterable[str], possible: Iterable[str]) -> None:
    unknown = sorted(set(types) - set(possible))
    if unknown:
        raise Invalid(
            f"_type: {', '.join(unknown)} cannot be exported here.",
            vi=f"_type: không thể xuất {', '.join(unknown)} ở đây.",
        )
