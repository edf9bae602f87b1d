"""create: a new resource under an id of the server. https://hl7.org/fhir/R4/http.html#create"""

from ehr_server.call import Answer, Call
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import asked, wishes_review, written


def create(call: Call) -> Answer:
    """201 with Location, or 200 with what `If-None-Exist` found instead."""
    intended = change(call)
    (done,) = apply(call.means, [intended], push=push(call, intended.resource))
    return written(call, done)


def change(call: Call) -> Change:
    """The intended create; an id in the body is ignored, as the standard asks."""
    request, upload = call.request, call.request.upload
    return Change(
        "create",
        call.parts["type"],
        upload.id if upload is not None else None,  # by which the content was filed already
        resource=request.parsed(),
        where=request.where or call.parts["type"],
        full_url=request.full_url,
        # In the address fhirpy (`get_or_create`) and the first drafts of FHIR have the criteria;
        # left unheeded they would make a duplicate of what they mean to find.
        if_none_exist=request.headers.get("if-none-exist") or asked(request) or None,
        blob=request.blob,
        is_reviewed=wishes_review(request),
    )
