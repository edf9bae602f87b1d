"""$receipt: what became of a push whose answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import answered, asked, needed
from ehr_server.operations.receipt.told import IN_PROGRESS, answer, told, whose
from ehr_server.store.receipts import find, wait

if TYPE_CHECKING:
    from ehr_server.call import Answer, Call

_KNOWN = {"key": Known("string"), "sender": Known("string")}
_WAIT_MS = 5_000


def receipt(call: Call) -> Answer:
    """200 with Parameters: what is stored under `key`, of the `sender`. Who stores something under
    it at this moment is waited for; the state `in-progress` says that this takes long, or that a
    batch was cut off in the middle.

    Raises `NotFound` where nothing is stored, `Invalid` where several senders have the same key.
    """
    sent = asked(call, _KNOWN)
    key, sender = needed(sent, "key"), whose(call, sent)
    wait_ms = min(_WAIT_MS, call.settings.statement_timeout_ms // 2 + 1)
    with call.store.connection() as connection:
        is_free = wait(connection, key, wait_ms)
        found = find(call.store, connection, key, sender)
    if len({one.sender for one in found}) > 1:
        raise Invalid(
            "Several senders have used this key; name one by the parameter sender.",
            vi="Nhiều bên gửi đã dùng khóa này; xin nêu một bên bằng tham số sender.",
            expression=("sender",),
        )
    if not found and not is_free:
        return answered([("key", "valueString", key), ("state", "valueCode", IN_PROGRESS)])
    if not found:
        raise NotFound(
            "Nothing is stored under this key; send it again.",
            vi="Chưa có gì được lưu với khóa này; xin gửi lại.",
        )
    return answered([*told(key, found), ("answer", "resource", answer(call, found))])
