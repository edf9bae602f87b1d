"""delete: no longer there, the history kept. https://hl7.org/fhir/R4/http.html#delete"""

from ehr_server.call import Answer, Call
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import version_in, written


def delete(call: Call) -> Answer:
    """204, also when it was deleted before; 404 if it never was."""
    (done,) = apply(call.means, [change(call)], push=push(call))
    return written(call, done)


def change(call: Call) -> Change:
    """The intended delete."""
    return Change(
        "delete",
        call.parts["type"],
        call.parts["id"],
        where=call.request.where or call.parts["type"],
        if_match=version_in(call.request.headers.get("if-match"), "If-Match"),
    )
