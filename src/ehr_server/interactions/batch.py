"""batch: every entry of a Bundle alone. https://hl7.org/fhir/R4/http.html#transaction

Nothing is rewritten from one entry to another, and one that fails leaves the others be.
"""

from typing import Any

from ehr_server.call import Answer, Call
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.interactions.entries import answered_entry, requests
from ehr_server.interactions.transaction import transaction
from ehr_server.interactions.written import applied, preferred


def bundle(call: Call) -> Answer:
    """POST to the base: a transaction or a batch, as `Bundle.type` says."""
    sent = call.request.parsed()
    if sent.get("resourceType") != "Bundle" or call.request.where:
        raise Invalid(
            "What is posted to the base must be a Bundle; a single resource goes to its type.",
            vi="Nội dung gửi tới địa chỉ gốc phải là Bundle; tài nguyên đơn gửi tới loại của nó.",
            expression=("Bundle",),
        )
    if sent.get("type") == "transaction":
        return transaction(call, sent)
    if sent.get("type") == "batch":
        return batch(call, sent)
    raise Invalid(
        "Bundle.type must be transaction or batch to be processed; to keep a document or a "
        "message, POST it to Bundle.",
        vi="Bundle.type phải là transaction hoặc batch; để lưu document hay message, "
        "hãy POST tới Bundle.",
        expression=("Bundle.type",),
    )


def batch(call: Call, sent: dict[str, Any]) -> Answer:
    """200 with an answer for each entry, in the order sent."""
    with_resource = preferred(call) == "representation"
    entries = [
        answered_entry(call, call.routes.answer(request), with_resource=with_resource)
        for request in requests(call, sent)
    ]
    response: dict[str, Any] = {"resourceType": "Bundle", "type": "batch-response"}
    body = json.write({**response, "entry": entries} if entries else response)
    return Answer(200, body, applied(call))
