"""What a kick-off may ask for.

https://hl7.org/fhir/uv/bulkdata/export.html#query-parameters. A parameter that is not known is
refused by name, unless the sender prefers lenient handling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import asked, moment
from ehr_server.redact import without_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ehr_server.call import Call
    from ehr_server.store.files import Form

_KNOWN = {
    "_type": Known("string", is_list=True),
    "_since": Known("instant"),
    "_until": Known("instant"),
    "allowPartialManifests": Known("boolean"),
    "_outputFormat": Known("string"),
}
_FORMATS: dict[str, Form] = {  # as the files lie on the disk: NDJSON in gzip
    "application/fhir+ndjson": "gzip",
    "application/ndjson": "gzip",
    "ndjson": "gzip",
    "application/vnd.apache.parquet": "parquet",
    "parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the types, sorted, the instant after which they changed and that before
    which they did; whether the manifest may come in pages, the first before all is done; in which
    form the files are."""

    types: tuple[str, ...]
    since: datetime | None
    until: str | None
    is_paged: bool
    form: Form


def wish_of(call: Call, *, of_patients: bool) -> Wish:
    """The parameters of the query, or of the Parameters resource that was posted.

    Raises `Invalid` (400), which names the parameter.
    """
    sent = asked(call, _KNOWN)
    listed = (one.strip() for value in sent.all("_type") for one in value.split(","))
    types = {one for one in listed if one}
    possible = _possible_types(of_patients=of_patients)
    _check_types(types, possible)
    form = _form(sent.one("_outputFormat", "ndjson"))
    since, until = moment(call, sent, "_since"), moment(call, sent, "_until")
    _check_moments(since, until)
    return Wish(
        tuple(sorted(types or possible)),
        since,
        None if until is None else clock.instant(until),
        sent.one("allowPartialManifests", False),
        form,
    )


def _check_moments(since: datetime | None, until: datetime | None) -> None:
    if since is not None and since > clock.now():
        raise Invalid(
            "_since is in the future: nothing has changed since. Send the transactionTime of the "
            "last manifest.",
            vi="_since nằm ở tương lai: chưa có gì thay đổi từ đó. Hãy gửi transactionTime của "
            "manifest trước.",
            expression=("_since",),
        )
    if since is not None and until is not None and until <= since:
        raise Invalid(
            "_until must be later than _since.",
            vi="_until phải sau _since.",
            expression=("_until",),
        )


def _form(text: str) -> Form:
    found = _FORMATS.get(text.replace(" ", "+"))
    if found is None:
        raise Invalid(
            "_outputFormat can only be application/fhir+ndjson, or parquet for tables.",
            vi="_outputFormat chỉ có thể là application/fhir+ndjson, hoặc parquet cho dạng bảng.",
        )
    return found


def _possible_types(*, of_patients: bool) -> tuple[str, ...]:
    if not of_patients:
        return definitions().resource_types
    members = definitions().compartments["Patient"]
    return tuple(sorted({"Patient", *(name for name, codes in members.items() if codes)}))


def _check_types(types: set[str], possible: Iterable[str]) -> None:
    unknown = sorted(types.difference(possible))
    if unknown:
        listed = without_numbers(", ".join(unknown))
        raise Invalid(
            f"_type: {listed} cannot be exported here.",
            vi=f"_type: không thể xuất {listed} ở đây.",
        )
