"""$viewdefinition-run: the rows of a view, now.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html. The view comes along or is
kept here; it is checked whole before anything is read. The rows stream: a page of resources is
read, its rows are sent, and no connection to the database is held meanwhile. What is refused while
the first rows are made is refused as such; later the connection ends before the body does.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ehr_server.access.chosen import Choice
from ehr_server.access.seen import readable
from ehr_server.call import Answer, Route, Stream
from ehr_server.errors import Invalid, NotAcceptable, Unprocessable
from ehr_server.fhir import json, references
from ehr_server.fhir.media_types import chosen, wished
from ehr_server.fhir.parameters import Known
from ehr_server.fhirpath.scope import Reach
from ehr_server.hashing import person_comp
from ehr_server.issue import Issue
from ehr_server.layout import leaf
from ehr_server.operations.given import asked, moment, posted
from ehr_server.operations.view_named import view_named
from ehr_server.redact import id_without_number, without_numbers
from ehr_server.store.live import Wanted, contents
from ehr_server.store.merged import records
from ehr_server.views.view import view
from ehr_server.views.writers import MEDIA_TYPES, Shape, pieces

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from ehr_server.call import Call
    from ehr_server.fhir.parameters import Given
    from ehr_server.views.view import View
    from ehr_server.views.writers import Format

_URL = "http://sql-on-fhir.org/OperationDefinition/$viewdefinition-run"
_KNOWN = {
    "viewResource": Known("Resource"),
    "viewReference": Known("Reference"),
    "_format": Known("code"),
    "header": Known("boolean"),
    "patient": Known("Reference"),
    "_since": Known("instant"),
    "_limit": Known("integer"),
    "resource": Known("Resource", is_list=True),
}
_REFERENCES = ("viewReference", "patient")
_FORMATS: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/fhir+ndjson": "ndjson",
    "text/csv": "csv",
    "application/json": "json",
    "application/fhir+json": "json",
    "application/vnd.apache.parquet": "parquet",
    "application/octet-stream": "parquet",
}
_SHORT: dict[str, Format] = {
    "csv": "csv",
    "ndjson": "ndjson",
    "json": "json",
    "parquet": "parquet",
}


def run(call: Call) -> Answer:
    """200 with the rows of a view that is sent along or named.

    Raises `Invalid` for a parameter that is not understood, `NotAcceptable` for a format that is
    not served, `Unprocessable` for a view that is none, with all that is wrong with it, and
    `NotFound` where there is no such view or Patient.
    """
    return _run(call, _given(call))


def run_instance(call: Call) -> Answer:
    """200 with the rows of the view that the address names."""
    sent = _given(call)
    if "viewReference" in sent or "viewResource" in sent:
        raise Invalid(
            "The address names the view already; send neither viewReference nor viewResource.",
            vi="Địa chỉ đã nêu khung nhìn; không gửi viewReference hay viewResource.",
            expression=("viewReference", "viewResource"),
        )
    reference = {"reference": f"Library/{call.parts['id']}"}
    return _run(call, replace(sent, values={**sent.values, "viewReference": [reference]}))


ROUTES = (
    Route(_URL, "POST", "$viewdefinition-run", run),
    Route(_URL, "GET", "$viewdefinition-run", run),
    *(
        Route(_URL, method, f"ViewDefinition/{rest}", deed)
        for name in ("$viewdefinition-run", "$run")
        for rest, deed in ((name, run), (f"{{id}}/{name}", run_instance))
        for method in ("GET", "POST")
    ),
)


def _run(call: Call, sent: Given) -> Answer:
    if call.request.where:
        raise Invalid(
            "An entry of a Bundle cannot hold a table: send $viewdefinition-run by itself.",
            vi="Mục của Bundle không chứa được bảng: hãy gửi riêng $viewdefinition-run.",
        )
    format_ = _format(call, sent)
    zone = call.means.rules.zone
    made = view(view_named(call, sent), call.base_url, Reach(zone=zone))
    shape = Shape(made.columns, format_, has_header=sent.one("header", True))
    rows = made.rows(_resources(call, sent, made))
    if "_limit" in sent:
        rows = islice(rows, sent.one("_limit"))
    body = pieces(shape, rows)
    if call.request.method == "HEAD":
        return Answer(200, b"", content_type=MEDIA_TYPES[format_])
    first = list(islice(body, 2))  # what is wrong with the first rows is told before any is sent
    if len(first) < 2:
        return Answer(200, b"".join(first), content_type=MEDIA_TYPES[format_])
    return Answer(200, Stream(None, _rest(first, body)), content_type=MEDIA_TYPES[format_])


def _rest(first: Iterable[bytes], rest: Iterable[bytes]) -> Generator[bytes, None, None]:
    yield from first
    yield from rest


def _given(call: Call) -> Given:
    """The parameters; a ViewDefinition that is posted by itself is `viewResource`, and a reference
    in the address is a text."""
    body = posted(call)
    is_view = body is not None and body.get("resourceType") == "ViewDefinition"
    named: dict[str, list[Any]] = {
        name: [{"reference": text}] for name, text in call.request.query if name in _REFERENCES
    }
    others = tuple(pair for pair in call.request.query if pair[0] not in named)
    _refuse_unsupported(call, body)
    here = replace(call, request=replace(call.request, query=others))
    sent = asked(here, _KNOWN, is_body_meant=not is_view)
    if is_view:
        named["viewResource"] = [body]
    return replace(sent, values={**sent.values, **named})


def _refuse_unsupported(call: Call, body: dict[str, Any] | None) -> None:
    """`source` and `group`, which the operation has and this server does not."""
    parameters = body.get("parameter", ()) if body is not None else ()
    names = {one.get("name") for one in parameters if isinstance(one, dict)}
    names |= {name for name, _ in call.request.query}
    for name in ("source", "group"):
        if name in names:
            raise Invalid(
                issues=[
                    Issue(
                        "error",
                        "not-supported",
                        f"The parameter {name} is not supported: the rows are those of this "
                        "server's resources, of all or of one patient.",
                        (name,),
                        f"Không hỗ trợ tham số {name}: các dòng lấy từ tài nguyên của máy chủ này, "
                        "của tất cả hoặc của một người bệnh.",
                    )
                ]
            )


def _format(call: Call, sent: Given) -> Format:
    """By `_format`, sent as a parameter or in the address, else by the header Accept."""
    named = sent.one("_format") or dict(call.request.query).get("_format", "")
    found = _SHORT.get(named) or _FORMATS.get(named.replace(" ", "+"))
    if named:
        if found is None:
            raise Invalid(
                issues=[
                    Issue(
                        "error",
                        "not-supported",
                        f"_format is one of {', '.join(_SHORT)}; {without_numbers(named)[:40]} is "
                        "not served.",
                        ("_format",),
                        f"_format là một trong {', '.join(_SHORT)}.",
                    )
                ]
            )
        return found
    accepted = chosen(wished(call.request.headers.get("accept", ""), None), tuple(_FORMATS))
    if accepted is None:
        raise NotAcceptable(
            f"A table comes as {', '.join(sorted(MEDIA_TYPES.values()))}.",
            vi=f"Bảng được trả dưới dạng {', '.join(sorted(MEDIA_TYPES.values()))}.",
        )
    return _FORMATS[accepted]


def _resources(call: Call, sent: Given, made: View) -> Iterator[dict[str, Any]]:
    """What the view is run on: the resources that came along, or those kept here."""
    if "resource" in sent:
        return iter(_checked(call, sent.all("resource")))
    comps = _comps(call, sent.one("patient")) if "patient" in sent else None
    call.caller.trail.saw(comps or ())  # of all, the row that names nobody says so
    since = moment(call, sent, "_since")
    return map(json.read_stored, resources(call, Wanted(made.resource, comps, since)))


def resources(call: Call, wanted: Wanted) -> Iterator[bytes]:
    """What is kept here, as the caller may see it: the one door through which views read."""
    chosen = None
    if not call.caller.sees_all(wanted.type):
        with call.store.connection() as connection:
            choice = Choice(connection, {wanted.type: ()}, call.caller, call.means.rules)
            chosen = choice.conditions(connection).get(leaf(wanted.type))
    return contents(call.store, replace(wanted, chosen=chosen))


def _checked(call: Call, sent: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The resources, which have to be such: an expression relies on it. Raises `Unprocessable`."""
    issues = [
        issue.under(f"resource[{index}]")
        for index, resource in enumerate(sent)
        for issue in call.means.rulebook.check(resource)
        if issue.severity in ("error", "fatal")
    ]
    if issues:
        raise Unprocessable(issues=issues)
    return sent


def _comps(call: Call, reference: dict[str, Any]) -> list[int]:
    """The compartments of the patient: one for each record of a person. Raises `Invalid`."""
    text = reference.get("reference")
    found = references.parse(text, call.base_url) if isinstance(text, str) else None
    if found is None or found.kind != "local" or found.type != "Patient" or found.id is None:
        raise Invalid(
            "patient is a reference to a Patient of this server, such as Patient/1.",
            vi="patient là tham chiếu tới một Patient trên máy chủ này, ví dụ Patient/1.",
            expression=("patient",),
        )
    with call.store.connection() as connection:
        lies = readable(call.store, connection, call.caller, "Patient", found.id)
        if lies is None or not lies.live:
            told = id_without_number(found.id)
            raise Invalid(
                issues=[
                    Issue(
                        "error",
                        "not-found",
                        f"There is no Patient/{told}.",
                        ("patient",),
                        f"Không có Patient/{told}.",
                    )
                ]
            )
        comp = person_comp(found.id)
        return sorted({comp, *(one.comp for one in records(connection, [comp]))})
