"""What every write answers. https://hl7.org/fhir/R4/http.html#ops (Prefer)"""

from urllib.parse import urlencode

from ehr_server.call import Answer, Call, Request, version_headers
from ehr_server.changes.change import Done
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.search.parse import HARMLESS, PRESENTATION

REPEATED = {"Idempotency-Replayed": "true"}  # stored before, under the same key

_WISHES = {wish.lower(): wish for wish in ("minimal", "representation", "OperationOutcome")}
CASCADE = "_cascade"
_NO_CRITERIA = {CASCADE, *PRESENTATION, *HARMLESS}


def written(call: Call, done: Done) -> Answer:
    """The answer to a single write, with the body that `Prefer: return=` asks for."""
    headers = version_headers(done.ver, done.at) if done.ver else {}
    if done.is_repeated:
        headers |= REPEATED
    if done.content is None:
        return Answer(done.status, None, headers, done=done)
    headers |= {"Location": location(call, done), **applied(call)}
    wish = preferred(call)
    if wish == "minimal":
        return Answer(done.status, None, headers, done=done)
    if wish == "OperationOutcome":
        deed = "created" if done.status == 201 else "stored"
        told = f"{done.type}/{id_without_number(done.id)}"
        text = f"{told} version {done.ver} is {deed}."
        vi = f"{told} phiên bản {done.ver} đã được lưu."
        issue = Issue("information", "informational", text, vi=vi)
        outcome = operation_outcome([issue, *done.findings], call.language)
        return Answer(done.status, json.write(outcome), headers, done=done)
    return Answer(done.status, done.content, headers, done=done)


def location(call: Call, done: Done) -> str:
    """The address of the version that was written."""
    return f"{call.base_url}/{done.type}/{done.id}/_history/{done.ver}"


def preferred(call: Call) -> str | None:
    """`minimal`, `representation` or `OperationOutcome`, if the sender prefers one."""
    return _WISHES.get(call.request.preference("return") or "")


def wishes_review(request: Request) -> bool:
    """Whether a second holder of a number is to be stored, and listed for a human to decide
    (`changes.claims`): `Prefer: identity=review`."""
    return request.preference("identity") == "review"


def applied(call: Call) -> dict[str, str]:
    """The header that says which `return=` was followed: RFC 7240, 3."""
    wish = preferred(call)
    return {"Preference-Applied": f"return={wish}"} if wish else {}


def criteria_of(call: Call) -> str:
    """Which resource a conditional interaction is about, as its address says: `identifier=x`.

    Raises `Invalid` where nothing is asked: it would be about every resource of the type.
    """
    criteria = asked(call.request)
    if not criteria:
        raise Invalid(
            f"{call.request.method} without an id needs criteria that say which resource is meant: "
            f"{call.parts['type']}?identifier=system|value.",
            vi=f"{call.request.method} không có id cần điều kiện nêu rõ tài nguyên: "
            f"{call.parts['type']}?identifier=system|value.",
        )
    return criteria


def asked(request: Request) -> str:
    """The criteria in the address of a request, "" if there are none."""
    return urlencode([pair for pair in request.query if pair[0] not in _NO_CRITERIA])
