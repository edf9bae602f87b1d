"""transaction: all of a Bundle's entries, or none. https://hl7.org/fhir/R4/http.html#transaction"""

from dataclasses import replace
from typing import Any

from ehr_server.call import Answer, Call, Request, Route
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.errors import Invalid, Refusal
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of
from ehr_server.interactions.entries import answered_entry, requests, written_entry
from ehr_server.interactions.pushed import push_of_bundle
from ehr_server.interactions.written import REPEATED, applied, preferred
from ehr_server.store.receipts import TRANSACTION


def transaction(call: Call, bundle: dict[str, Any]) -> Answer:
    """200 with an entry for each, in the order sent; otherwise the refusal of the first that
    cannot be, and nothing is stored. Reads are answered last and see what was written, also when
    the rest was stored before under the same key.
    """
    entries = requests(call, bundle)
    push = push_of_bundle(call, bundle, TRANSACTION)
    changes: dict[int, Change] = {}
    reads: dict[int, tuple[Route, Call]] = {}
    for index, request in enumerate(entries):
        try:
            intended = _intended(call, request)
        except Refusal as refusal:
            refusal.expression = refusal.expression or (f"Bundle.entry[{index}].request",)
            raise
        if isinstance(intended, Change):
            changes[index] = intended
        else:
            reads[index] = intended
    answers: dict[int, dict[str, Any]] = {}

    def read() -> None:
        for index, (route, inner) in reads.items():
            answers[index] = answered_entry(call, _read(route, inner, index), with_resource=True)

    done = apply(call.means, list(changes.values()), read if reads else None, push)
    with_resource = preferred(call) == "representation"
    for index, one in zip(changes, done, strict=True):
        answers[index] = written_entry(call, one, with_resource=with_resource)
    answered = [answers[index] for index in range(len(entries))]
    headers = applied(call) | (REPEATED if any(one.is_repeated for one in done) else {})
    return Answer(200, json.write(_response("transaction-response", answered)), headers)


def _intended(call: Call, request: Request) -> Change | tuple[Route, Call]:
    """The write that an entry asks for, or the route and call of a read. Operations are neither:
    $export has a transaction of its own, whose commit would be that of all entries before it.
    """
    route, parts = call.routes.match(request)
    inner = replace(call, request=request, parts=parts)
    if route.change is not None:
        return route.change(inner)
    if request.method not in ("GET", "HEAD") or "$" in route.pattern:
        asked = f"{request.method} {'/'.join(request.path)}"
        raise Invalid(
            f"{asked} cannot stand in a transaction.",
            vi=f"{asked} không thể nằm trong một giao dịch.",
        )
    return route, inner


def _read(route: Route, call: Call, index: int) -> Answer:
    try:
        return route.deed(call)
    except Refusal as refusal:
        refusal.issues = tuple(
            issue.under(f"Bundle.entry[{index}]") for issue in issues_of(refusal)
        )
        raise


def _response(kind: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if entries:
        bundle["entry"] = entries
    return bundle
