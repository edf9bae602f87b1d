"""How a receipt is told, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import etag
from ehr_server.errors import Forbidden
from ehr_server.store.receipts import BATCH, SINGLE, TRANSACTION, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ehr_server.call import Call
    from ehr_server.fhir.parameters import Given
    from ehr_server.store.receipts import Fact, Receipt

STORED, IN_PROGRESS = "stored", "in-progress"
_KINDS = {SINGLE: "single", TRANSACTION: "transaction", BATCH: "batch"}
_STATUS = {200: "200 OK", 201: "201 Created", 204: "204 No Content"}

Told = tuple[str, str, Any]  # name, element, value of a parameter


def whose(call: Call, sent: Given) -> str | None:
    """Whose receipts are asked for: a named caller sees their own, one without a name those of the
    sender that is named, or of all (None). Raises `Forbidden`."""
    sender: str | None = sent.one("sender")
    if call.caller.sender is None:
        return sender
    if sender not in (None, call.caller.sender):
        raise Forbidden(
            "A sender sees its own receipts alone.",
            vi="Mỗi bên gửi chỉ xem được biên nhận của mình.",
            expression=("sender",),
        )
    return call.caller.sender


def told(key: str, several: list[Receipt]) -> Iterator[Told]:
    """What is known of one push: its receipt, and those of single entries of a batch."""
    first = several[0]
    facts = [fact for one in several for fact in one.facts]
    yield "key", "valueString", key
    yield "sender", "valueString", first.sender
    yield "state", "valueCode", STORED if first.entry == WHOLE else IN_PROGRESS
    yield "kind", "valueCode", _KINDS[first.kind if first.entry == WHOLE else BATCH]
    yield "at", "valueInstant", clock.instant(first.at)
    if first.entry == WHOLE:
        is_single = first.kind == SINGLE and facts[0] is not None
        yield "status", "valueInteger", facts[0].status if is_single and facts[0] else 200
        yield "entries", "valueInteger", len(first.facts)
    yield "stored", "valueInteger", sum(fact is not None for fact in facts)
    yield "digest", "valueString", first.digest.hex()


def answer(call: Call, several: list[Receipt]) -> dict[str, Any]:
    """The answer as a Bundle, as far as it is about what was stored. The id of an entry is the
    number of the write among those of the push, from 0 on."""
    entries = [
        {"id": str(number), "response": _response(call, fact)}
        for number, fact in _numbered(several)
        if fact is not None
    ]
    is_transaction = several[0].kind == TRANSACTION
    kind = "transaction-response" if is_transaction else "batch-response"
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def _numbered(several: list[Receipt]) -> Iterator[tuple[int, Fact | None]]:
    """An entry of a batch that deleted several resources has several facts."""
    for one in several:
        for number, fact in enumerate(one.facts):
            yield number if one.entry == WHOLE else one.entry, fact


def _response(call: Call, fact: Fact) -> dict[str, Any]:
    response: dict[str, Any] = {"status": _STATUS[fact.status]}
    if fact.status != 204:
        response["location"] = f"{call.base_url}/{fact.type}/{fact.id}/_history/{fact.ver}"
    if fact.ver:
        response |= {"etag": etag(fact.ver), "lastModified": clock.instant(fact.at)}
    return response
