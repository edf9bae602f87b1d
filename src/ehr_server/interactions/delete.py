"""delete: no longer there, the history kept. https://hl7.org/fhir/R4/http.html#delete

Without an id in the address the criteria there say what is meant, one resource or, by a setting,
several: https://hl7.org/fhir/R4/http.html#3.1.0.7.1.
"""

from collections.abc import Sequence

from ehr_server.call import Answer, Call
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Done
from ehr_server.changes.push import stored_before
from ehr_server.changes.resolve import versions_meant
from ehr_server.errors import PreconditionFailed
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import (
    REPEATED,
    applied,
    criteria_of,
    preferred,
    version_in,
    written,
)
from ehr_server.issue import Issue


def delete(call: Call) -> Answer:
    """204, also when it was deleted before or never was."""
    intended = change(call)
    if intended.criteria is not None and call.settings.conditional_delete_max > 1:
        return _several(call, intended)
    (done,) = apply(call.means, [intended], push=push(call))
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
    )


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
    deletes = [
        Change("delete", intended.type, id_, where=intended.where, read=ver) for id_, ver in found
    ]
    # Where there is nothing to delete, the look in the transaction is the one that counts.
    return _deleted(call, apply(call.means, deletes or [intended], push=pushed))


def _deleted(call: Call, done: Sequence[Done]) -> Answer:
    headers = REPEATED if any(one.is_repeated for one in done) else {}
    if preferred(call) != "OperationOutcome":
        return Answer(204, headers=headers)
    count = sum(one.ver > 0 for one in done)
    text, vi = f"Deleted: {count}.", f"Đã xóa: {count}."
    outcome = operation_outcome([Issue("information", "informational", text, vi=vi)], call.language)
    return Answer(200, json.write(outcome), {**headers, **applied(call)})
