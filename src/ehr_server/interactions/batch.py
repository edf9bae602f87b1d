"""batch: every entry of a Bundle alone. https://hl7.org/fhir/R4/http.html#transaction

Nothing is rewritten from one entry to another, and one that fails leaves the others be.
"""

from dataclasses import replace
from typing import Any

from ehr_server.call import Answer, Call
from ehr_server.changes.push import refuse_other, settle
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.interactions.entries import answered_entry, requests
from ehr_server.interactions.pushed import push_of_bundle
from ehr_server.interactions.transaction import transaction
from ehr_server.interactions.written import REPEATED, applied, preferred
from ehr_server.store.receipts import BATCH


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
    """200 with an answer for each entry, in the order sent. Under a key each entry is stored once:
    what was stored before is told again, what was refused is tried again.
    """
    asked = requests(call, sent)
    push = push_of_bundle(call, sent, BATCH)
    refuse_other(call.store, push)
    answers = [
        call.routes.answer(replace(request, push=push.of_entry(number)) if push else request)
        for number, request in enumerate(asked)
    ]
    settle(call.store, push, len(asked))
    with_resource = preferred(call) == "representation"
    entries = [answered_entry(call, one, with_resource=with_resource) for one in answers]
    response: dict[str, Any] = {"resourceType": "Bundle", "type": "batch-response"}
    is_repeated = any(one.done is not None and one.done.is_repeated for one in answers)
    return Answer(
        200,
        json.write({**response, "entry": entries} if entries else response),
        {**applied(call), **(REPEATED if is_repeated else {})},
    )
