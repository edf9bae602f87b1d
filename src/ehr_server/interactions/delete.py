"""delete: no longer there, the history kept. https://hl7.org/fhir/R4/http.html#delete

Without an id in the address the criteria there say what is meant, one resource or, by a setting,
several: https://hl7.org/fhir/R4/http.html#3.1.0.7.1.
"""

from collections.abc import Sequence
from dataclasses import replace

from ehr_server.call import Answer, Call, version_in
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Done
from ehr_server.changes.push import stored_before
from ehr_server.changes.resolve import versions_meant
from ehr_server.errors import Invalid, PreconditionFailed
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import (
    CASCADE,
    REPEATED,
    applied,
    criteria_of,
    preferred,
    written,
)
from ehr_server.issue import Issue


def delete(call: Call) -> Answer:
    """204, also when it was deleted before or never was."""
    intended = change(call)
    if intended.criteria is not None and call.settings.conditional_delete_max > 1:
        return _several(call, intended)
    (done,) = apply(call.means, [intended], push=push(call))
    if done.status == 200:  # others were deleted along
        return Answer(200, json.write(operation_outcome(done.findings, call.language)), done=done)
    return written(call, done)


def change(call: Call) -> Change:
    """The intended delete."""
    return Change(
        "delete",
        call.parts["type"],
        call.parts.get("id"),
        where=call.request.where or call.parts["type"],
        if_match=version_in(call.request.headers.get("if-match"), "If-Match"),
        criteria=None if "id" in call.parts else criteria_of(call),
        cascades=_cascades(call),
    )


def _cascades(call: Call) -> bool:
    """By the parameter `_cascade=delete`, or the header `X-Cascade: delete` of other servers."""
    asked = dict(call.request.query).get(CASCADE) or call.request.headers.get("x-cascade", "none")
    if asked not in ("delete", "none"):
        raise Invalid(
            f"{CASCADE} takes delete or none.",
            vi=f"{CASCADE} chỉ nhận delete hoặc none.",
            expression=(call.request.where or CASCADE,),
        )
    return asked == "delete"


def _several(call: Call, intended: Change) -> Answer:
    """All that match, or 412 and none of them. They are deleted as the versions that were seen to
    match; where one is changed meanwhile, all is run again."""
    pushed, most = push(call), call.settings.conditional_delete_max
    before = stored_before(call.store, pushed)
    if before is not None:
        return _deleted(call, before)
    with call.store.connection() as connection:
        found = versions_meant(call.means, connection, intended, most + 1)
    if len(found) > most:
        raise PreconditionFailed(
            f"The criteria match more than {most} resources, the most that may be deleted at once.",
            vi=f"Điều kiện khớp hơn {most} tài nguyên, là số tối đa được xóa một lần.",
        )
    deletes = [replace(intended, id=id_, criteria=None, read=ver) for id_, ver in found]
    # Where there is nothing to delete, the look in the transaction is the one that counts.
    return _deleted(call, apply(call.means, deletes or [intended], push=pushed))


def _deleted(call: Call, done: Sequence[Done]) -> Answer:
    headers = REPEATED if any(one.is_repeated for one in done) else {}
    if preferred(call) != "OperationOutcome":
        return Answer(204, headers=headers)
    count = sum(one.ver > 0 for one in done)
    counted = Issue("information", "informational", f"Deleted: {count}.", vi=f"Đã xóa: {count}.")
    along = [issue for one in done for issue in one.findings]
    outcome = json.write(operation_outcome([counted, *along], call.language))
    return Answer(200, outcome, {**headers, **applied(call)})
