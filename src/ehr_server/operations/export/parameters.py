"""What a kick-off may ask for.

https://hl7.org/fhir/uv/bulkdata/export.html#query-parameters. What is not known or not possible is
refused by name, unless the sender prefers lenient handling: then it is left out, and told in the
manifest. Values come one by one, as 3.0 has it, or with commas between them, as 2.0 has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

from ehr_server import clock
from ehr_server.access.cohort import of_patients
from ehr_server.definitions import definitions
from ehr_server.definitions.subset import elements, unknown_elements
from ehr_server.errors import Invalid
from ehr_server.fhir import references
from ehr_server.fhir.parameters import Given, Known
from ehr_server.issue import Issue
from ehr_server.operations.given import asked, moment, posted
from ehr_server.redact import without_numbers
from ehr_server.search.parse import PRESENTATION, parse
from ehr_server.search.results import is_result_parameter
from ehr_server.store.export import Filters, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ehr_server.call import Call
    from ehr_server.search.rules import Rules
    from ehr_server.store.files import Form

Level = Literal["system", "patients", "group", "patient"]

_KNOWN = {
    "_type": Known("string", is_list=True),
    "_since": Known("instant"),
    "_until": Known("instant"),
    "_typeFilter": Known("string", is_list=True),
    "_elements": Known("string", is_list=True),
    "includeAssociatedData": Known("code", is_list=True, also="Coding"),
    "organizeOutputBy": Known("string"),
    "allowPartialManifests": Known("boolean"),
    "_outputFormat": Known("string"),
    "_deidentify": Known("code"),
    "_restricted": Known("code", is_list=True),
}
_OF_PATIENTS = {"patient": Known("string", is_list=True, also="Reference")}
_FORMATS: dict[str, Form] = {  # as the files lie on the disk: NDJSON in gzip
    "application/fhir+ndjson": "gzip",
    "application/ndjson": "gzip",
    "ndjson": "gzip",
    "application/vnd.apache.parquet": "parquet",
    "parquet": "parquet",
}
_ASSOCIATED: dict[str, Provenance] = {
    "LatestProvenanceResources": "latest",
    "RelevantProvenanceResources": "all",
}
# Where one search ends and the next begins, in a list of the form that 2.0 allowed.
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]+\?)")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the types, sorted, the instant after which they changed and that before
    which they did; whether the manifest may come in pages, the first before all is done; in which
    form the files are; the ids of the Patients, None for all; what is left out of what was sent."""

    types: tuple[str, ...]
    since: datetime | None
    until: str | None
    is_paged: bool
    form: Form
    filters: Filters
    elements: str
    provenance: Provenance
    is_by_person: bool
    patients: tuple[str, ...] | None
    ignored: tuple[Issue, ...]
    policy: str  # of de-identification, "" for none
    restricted: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """The call, and what is left out as its sender is lenient."""

    call: Call
    level: Level
    sent: Given
    ignored: list[Issue] = field(default_factory=list)

    @property
    def is_lenient(self) -> bool:
        return self.call.request.preference("handling") == "lenient"

    @property
    def rules(self) -> Rules:
        rules = replace(self.call.means.rules, base=self.call.base_url)
        return replace(rules, lenient=self.is_lenient)

    def leave_out(self, name: str, text: str, vi: str) -> None:
        """Raises `Invalid`, unless the sender is lenient."""
        told, told_vi = without_numbers(f"{name}: {text}."), without_numbers(f"{name}: {vi}.")
        if not self.is_lenient:
            raise Invalid(told, vi=told_vi, expression=(name,))
        self.ignored.append(
            Issue(
                "warning",
                "not-supported",
                f"{told} It was left out.",
                (name,),
                vi=f"{told_vi} Phần này bị bỏ qua.",
            )
        )

    def listed(self, name: str) -> list[str]:
        """The values, with or without commas between them, each once."""
        values = (one.strip() for value in self.sent.all(name) for one in value.split(","))
        return list(dict.fromkeys(one for one in values if one))


def wish_of(call: Call, level: Level) -> Wish:
    """The parameters of the query, or of the Parameters resource that was posted.

    Raises `Invalid` (400), which names the parameter.
    """
    known = _KNOWN if level == "system" else _KNOWN | _OF_PATIENTS
    reading = _Reading(call, level, asked(call, known))
    for name in _names(call):
        if name not in known:
            reading.leave_out(name, "is not known here", "không có ở đây")
    types, provenance = _types(reading), _provenance(reading)
    others = tuple(one for one in types if one != "Provenance")
    if provenance and others:  # it comes along, and not by itself
        types = others
    else:
        provenance = ""
    exported = (*types, "Provenance") if provenance else types
    since, until = moment(call, reading.sent, "_since"), moment(call, reading.sent, "_until")
    _check_moments(since, until)
    rules = reading.rules
    queries = tuple(_filters(reading, exported, rules))
    return Wish(
        types,
        since,
        None if until is None else clock.instant(until),
        reading.sent.one("allowPartialManifests", False),
        _form(reading),
        Filters(queries, call.caller.as_asker(), str(rules.zone), rules.base),
        _elements(reading, exported),
        provenance,
        _is_by_person(reading),
        _patients(reading),
        tuple(reading.ignored),
        reading.sent.one("_deidentify", ""),
        tuple(reading.listed("_restricted")),
    )


def _names(call: Call) -> Iterator[str]:
    """The names of all that was sent."""
    yield from (name for name, _ in call.request.query if name not in PRESENTATION)
    yield from (one["name"] for one in (posted(call) or {}).get("parameter", ()))


def _types(reading: _Reading) -> tuple[str, ...]:
    """Those that are asked for, of those that are possible."""
    possible = definitions().resource_types if reading.level == "system" else of_patients()
    types = reading.listed("_type")
    unknown = [one for one in types if one not in possible]
    if unknown:
        listed = ", ".join(unknown)
        reading.leave_out(
            "_type", f"{listed} cannot be exported here", f"không thể xuất {listed} ở đây"
        )
    left = sorted(set(types).difference(unknown))
    if types and not left:
        raise Invalid(
            "_type: none of the types can be exported here.",
            vi="_type: không loại nào có thể xuất ở đây.",
            expression=("_type",),
        )
    return tuple(left or possible)


def _filters(reading: _Reading, types: Sequence[str], rules: Rules) -> Iterator[str]:
    """Each search as it is understood: with those parameters alone that are known."""
    for value in reading.sent.all("_typeFilter"):
        for text in _NEXT_FILTER.split(value):
            understood = _filter(reading, text, types, rules)
            if understood:
                yield understood


def _filter(reading: _Reading, text: str, types: Sequence[str], rules: Rules) -> str | None:
    type_name, mark, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if type_name not in types or not mark or not pairs:
        reading.leave_out(
            "_typeFilter",
            "is a search of one type that is exported here, such as Observation?status=final",
            "là phép tìm kiếm của một loại được xuất ở đây, ví dụ Observation?status=final",
        )
        return None
    shaping = sorted({name for name, _ in pairs if is_result_parameter(name)})
    if shaping:
        listed = ", ".join(shaping)
        reading.leave_out(
            "_typeFilter",
            f"{listed} of {type_name} shapes a result, and says not what is exported",
            f"{listed} của {type_name} là tham số kết quả, không phải điều kiện",
        )
        pairs = [pair for pair in pairs if not is_result_parameter(pair[0])]
    try:
        found = parse(type_name, pairs, rules)
    except Invalid as refusal:
        raise Invalid(issues=[_of_filter(type_name, one) for one in refusal.issues]) from None
    for name, _ in found.ignored:
        reading.leave_out(
            "_typeFilter",
            f"the search parameter {name} of {type_name} is not known",
            f"không có tham số tìm kiếm {name} của {type_name}",
        )
    return f"{type_name}?{urlencode(found.asked, quote_via=quote)}" if found.asked else None


def _of_filter(type_name: str, issue: Issue) -> Issue:
    text = f"_typeFilter of {type_name}: {issue.text}"
    vi = f"_typeFilter của {type_name}: {issue.vi}"
    return replace(issue, text=text, vi=vi, expression=("_typeFilter",))


def _elements(reading: _Reading, types: Sequence[str]) -> str:
    names = reading.listed("_elements")
    if not names:
        return ""
    unknown = unknown_elements(elements(",".join(names)), *types)
    if unknown:
        listed = ", ".join(unknown)
        reading.leave_out(
            "_elements",
            f"{listed} is no element of what is exported",
            f"{listed} không phải phần tử của loại được xuất",
        )
    left = [one for one in names if not unknown_elements(elements(one), *types)]
    return ",".join(left)


def _provenance(reading: _Reading) -> Provenance:
    """Of what conflicts the least restrictive."""
    found: set[Provenance] = set()
    for value in reading.sent.all("includeAssociatedData"):
        codes = [value.get("code", "")] if isinstance(value, dict) else value.split(",")
        for code in (one.strip() for one in codes):
            if code in _ASSOCIATED:
                found.add(_ASSOCIATED[code])
            else:
                possible = ", ".join(_ASSOCIATED)
                reading.leave_out(
                    "includeAssociatedData",
                    f"{code} is not known; known are {possible}",
                    f"không có giá trị {code}; có {possible}",
                )
    return "all" if "all" in found else "latest" if found else ""


def _is_by_person(reading: _Reading) -> bool:
    wanted = reading.sent.one("organizeOutputBy")
    if wanted not in (None, "Patient"):
        reading.leave_out(
            "organizeOutputBy",
            f"files can be organized by Patient alone, not by {wanted}",
            f"chỉ có thể sắp xếp theo Patient, không theo {wanted}",
        )
    return bool(wanted == "Patient")


def _patients(reading: _Reading) -> tuple[str, ...] | None:
    """The ids of the Patients that are named, None where none is."""
    if "patient" not in reading.sent:
        return None
    ids = []
    for value in reading.sent.all("patient"):
        texts = [value.get("reference", "")] if isinstance(value, dict) else value.split(",")
        ids += [_patient_id(reading.call, text) for text in texts]
    return tuple(dict.fromkeys(ids))


def _patient_id(call: Call, text: Any) -> str:
    found = references.parse(text.strip(), call.base_url) if isinstance(text, str) else None
    if found is None or found.kind != "local" or found.type != "Patient" or not found.id:
        raise Invalid(
            "patient is a Reference to a Patient of this server, such as Patient/1.",
            vi="patient là Reference tới một Patient của máy chủ này, ví dụ Patient/1.",
            expression=("patient",),
        )
    return found.id


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


def _form(reading: _Reading) -> Form:
    text: str = reading.sent.one("_outputFormat", "ndjson")
    found = _FORMATS.get(text.replace(" ", "+"))
    if found == "parquet" and "organizeOutputBy" in reading.sent:
        raise Invalid(
            "organizeOutputBy makes blocks of lines: it cannot be had as tables.",
            vi="organizeOutputBy tạo các khối dòng: không dùng được với dạng bảng.",
            expression=("organizeOutputBy",),
        )
    if found is None:
        raise Invalid(
            "_outputFormat can only be application/fhir+ndjson, or parquet for tables.",
            vi="_outputFormat chỉ có thể là application/fhir+ndjson, hoặc parquet cho dạng bảng.",
            expression=("_outputFormat",),
        )
    return found
