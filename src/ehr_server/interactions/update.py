"""update: a new version at a given id, or its first. https://hl7.org/fhir/R4/http.html#update

Without an id in the address the criteria there say which resource is meant:
https://hl7.org/fhir/R4/http.html#cond-update.
"""

from ehr_server.call import Answer, Call, version_in
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.errors import Invalid
from ehr_server.fhir.references import ID
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import criteria_of, wishes_review, written
from ehr_server.redact import id_without_number


def update(call: Call) -> Answer:
    """200 with the new version, or 201 when the id is new (or was deleted)."""
    intended = change(call)
    (done,) = apply(call.means, [intended], push=push(call, intended.resource))
    return written(call, done)


def change(call: Call) -> Change:
    """The intended update. Raises `Invalid` when the id of the body is not that of the address."""
    request, type_name, id_ = call.request, call.parts["type"], call.parts.get("id")
    resource = request.parsed()
    where = request.where or type_name
    if id_ is not None and resource.get("id") != id_:
        told = id_without_number(id_)
        raise Invalid(
            f"The id in the body must be the id of the address, {told}.",
            vi=f"id trong nội dung phải trùng với id trong địa chỉ, {told}.",
            expression=(f"{where}.id",),
        )
    if id_ is not None and not ID.fullmatch(id_):
        raise Invalid(
            "An id holds 1 to 64 letters, digits, hyphens and dots.",
            vi="id gồm 1 đến 64 chữ cái, chữ số, gạch nối và dấu chấm.",
            expression=(f"{where}.id",),
        )
    return Change(
        "update",
        type_name,
        id_,
        resource,
        where,
        full_url=request.full_url,
        if_match=version_in(request.headers.get("if-match"), "If-Match"),
        if_none_match=request.headers.get("if-none-match", "").strip() == "*",
        criteria=criteria_of(call) if id_ is None else None,
        blob=request.blob,
        is_reviewed=wishes_review(request),
    )
