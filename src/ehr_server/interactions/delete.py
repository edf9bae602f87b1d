"""delete: no longer there, the history kept. https://hl7.org/fhir/R4/http.html#delete

Without an id in the address the criteria there say what is meant, one resource or, by a setting,
several: https://hl7.org/fhir/R4/http.html#3.1.0.7.1.
"""

from ehr_server.call import Answer, Call
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.changes.resolve import versions_meant
from ehr_server.errors import PreconditionFailed
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.interactions.written import applied, criteria_of, preferred, version_in, written
from ehr_server.issue import Issue


def delete(call: Call) -> Answer:
    """204, also when it was deleted before or never was."""
    intended = change(call)
    if intended.criteria is not None and call.settings.conditional_delete_max > 1:
        return _several(call, intended)
    (done,) = apply(call.means, [intended])
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
    most = call.settings.conditional_delete_max
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
    if deletes:
        apply(call.means, deletes)
    if preferred(call) != "OperationOutcome":
        return Answer(204)
    text, vi = f"Deleted: {len(deletes)}.", f"Đã xóa: {len(deletes)}."
    outcome = operation_outcome([Issue("information", "informational", text, vi=vi)], call.language)
    return Answer(200, json.write(outcome), applied(call))
