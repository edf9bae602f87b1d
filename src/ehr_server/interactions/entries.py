"""The entries of a Bundle as requests, and answers as entries.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote

from ehr_server import clock
from ehr_server.call import Answer, Call, Request, etag
from ehr_server.changes.change import Done
from ehr_server.errors import Invalid, TooLarge
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.interactions.written import location, preferred
from ehr_server.issue import Issue
from ehr_server.validation import check

_FINDINGS_MAX = 10  # of an entry that are told

_CONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
    "ifModifiedSince": "if-modified-since",
}


def requests(call: Call, bundle: dict[str, Any]) -> list[Request]:
    """The entries in the order sent. Raises `Invalid` for a Bundle that is not well formed, and
    `TooLarge` for too many entries; the resources are checked later, where they are written.
    """
    entries = bundle.get("entry", [])
    if isinstance(entries, list) and len(entries) > call.settings.bundle_entries_max:
        raise TooLarge(
            f"The Bundle holds {len(entries)} entries; at most "
            f"{call.settings.bundle_entries_max} are taken at once.",
            vi=f"Bundle có {len(entries)} mục; mỗi lần nhận tối đa "
            f"{call.settings.bundle_entries_max}.",
        )
    issues = list(_issues(bundle, entries))
    if issues:
        raise Invalid(issues=issues)
    is_linked = bundle["type"] == "transaction"  # the entries of a batch do not know each other
    return [_request(call, entry, index, is_linked) for index, entry in enumerate(entries)]


def _issues(bundle: dict[str, Any], entries: Any) -> Iterable[Issue]:
    """The envelope alone is checked here."""
    if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
        shell = [{n: v for n, v in entry.items() if n != "resource"} for entry in entries]
        bundle = {**bundle, "entry": shell} if entries else bundle
    yield from (issue for issue in check(bundle, "Bundle") if issue.severity == "error")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and "request" not in entry:
            yield Issue(
                "error",
                "required",
                "An entry of a transaction or batch needs a request with method and url.",
                (f"Bundle.entry[{index}]",),
                vi="Mỗi mục của transaction hay batch cần request gồm method và url.",
            )


def _request(call: Call, entry: dict[str, Any], index: int, is_linked: bool) -> Request:
    asked, resource = entry["request"], entry.get("resource")
    path, query = split(call, str(asked.get("url", "")), f"Bundle.entry[{index}].request.url")
    method = str(asked.get("method", ""))
    where = f"Bundle.entry[{index}].resource"
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict):
        raise Invalid(
            f"A {method} needs a resource.",
            vi=f"{method} cần có tài nguyên.",
            expression=(f"Bundle.entry[{index}]",),
        )
    headers = {header: str(asked[name]) for name, header in _CONDITIONS.items() if name in asked}
    if "prefer" in call.request.headers:
        headers["prefer"] = call.request.headers["prefer"]
    return Request(
        method,
        path,
        query,
        headers,
        resource=resource,
        where=where,
        full_url=entry.get("fullUrl", "") if is_linked else None,
    )


def split(call: Call, url: str, where: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Path segments and query of an entry's url, relative to the base or absolute under it.

    Raises `Invalid` at the place `where` if what is percent-encoded is not UTF-8.
    """
    url = url.removeprefix(call.base_url).lstrip("/")
    path, _, query = url.partition("?")
    segments = tuple(unquote(segment) for segment in path.split("/") if segment)
    try:
        return segments, tuple(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise Invalid(
            "The url of an entry is not UTF-8.",
            vi="url của mục không phải UTF-8.",
            expression=(where,),
        ) from None


def written_entry(call: Call, done: Done, *, with_resource: bool) -> dict[str, Any]:
    """The entry that answers a write. What was found about it, a sender who prefers the
    OperationOutcome hears: https://hl7.org/fhir/R4/http.html#transaction-response.
    """
    response: dict[str, Any] = {"status": _STATUS[done.status]}
    if done.ver:
        response |= {"etag": etag(done.ver), "lastModified": clock.instant(done.at)}
    if done.content is not None:
        response["location"] = location(call, done)
    if done.findings and preferred(call) == "OperationOutcome":
        response["outcome"] = operation_outcome(done.findings, call.language, _FINDINGS_MAX)
    entry: dict[str, Any] = {"response": response}
    if done.content is not None and with_resource:
        entry["resource"] = json.raw(done.content)
    return entry


def answered_entry(call: Call, answer: Answer, *, with_resource: bool) -> dict[str, Any]:
    """The entry that answers anything: a write, a read, or a refusal with its outcome."""
    if answer.done is not None:
        return written_entry(call, answer.done, with_resource=with_resource)
    response: dict[str, Any] = {"status": _STATUS.get(answer.status, str(answer.status))}
    if "ETag" in answer.headers:
        response["etag"] = answer.headers["ETag"]
    entry: dict[str, Any] = {"response": response}
    if isinstance(answer.body, bytes):
        if answer.status >= 400:
            response["outcome"] = json.raw(answer.body)
        else:
            entry["resource"] = json.raw(answer.body)
    return entry


_STATUS = {200: "200 OK", 201: "201 Created", 204: "204 No Content"}
