"""$receipts: what was stored on a day, to be compared with what was sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ehr_server import clock
from ehr_server.errors import Invalid
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import answered, asked, moment
from ehr_server.operations.receipt.told import told, whose
from ehr_server.store import receipts as store_receipts
from ehr_server.store.connect import snapshot
from ehr_server.store.receipts import WHOLE, Days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ehr_server.call import Answer, Call
    from ehr_server.fhir.parameters import Given
    from ehr_server.operations.receipt.told import Told
    from ehr_server.store.receipts import Receipt

_KNOWN = {
    "date": Known("dateTime"),
    "sender": Known("string"),
    "_count": Known("integer"),
    "_page": Known("string"),
}


def receipts(call: Call) -> Answer:
    """200 with Parameters: `pushes` and `total` by type of the whole `date` (today, if there is
    none, in the time zone of the server), a `receipt` for each push of this page in the order they
    were stored, and `next`, the address of the page after it.

    Raises `Invalid` for a parameter that is not understood.
    """
    sent = asked(call, _KNOWN)
    days, after = _days(call, sent), _after(sent)
    count = min(sent.one("_count", call.settings.count_default), call.settings.count_max)
    with call.store.connection() as connection, snapshot(connection):
        pushes, by_type = store_receipts.totals(connection, days)
        found = store_receipts.of_days(call.store, connection, days, count + 1, after)
    parts: list[Told] = [("pushes", "valueInteger", pushes)]
    parts += (("total", "part", _count(name, n)) for name, n in by_type.items())
    parts += (("receipt", "part", list(_row(one))) for one in found[:count])
    if len(found) > count and count:
        parts.append(("next", "valueUri", _next(call, found[count - 1])))
    return answered(parts)


def _days(call: Call, sent: Given) -> Days:
    if "date" not in sent:
        today = clock.now().astimezone(call.settings.zone).date().isoformat()
        sent = type(sent)({**sent.values, "date": [today]})
    since, until = moment(call, sent, "date"), moment(call, sent, "date", is_end=True)
    if since is None or until is None:
        raise LookupError("the date is given")
    return Days(since, until, whose(call, sent))


def _row(one: Receipt) -> Iterator[Told]:
    """As $receipt tells it, and what it stored by type instead of the answer."""
    yield from told(one.key, [one])
    if one.entry != WHOLE:
        yield "entry", "valueInteger", one.entry
    counts = Counter(fact.type for fact in one.facts if fact is not None)
    for name, n in sorted(counts.items()):
        yield "resources", "part", _count(name, n)


def _count(type_name: str, n: int) -> list[Told]:
    return [("type", "valueCode", type_name), ("count", "valueInteger", n)]


def _next(call: Call, last: Receipt) -> str:
    page = f"{round(last.at.timestamp() * 1000)}.{last.tx}"
    kept = [pair for pair in call.request.query if pair[0] in _KNOWN and pair[0] != "_page"]
    return f"{call.base_url}/$receipts?{urlencode([*kept, ('_page', page)])}"


def _after(sent: Given) -> tuple[datetime, int] | None:
    if "_page" not in sent:
        return None
    at, _, tx = sent.one("_page").partition(".")
    try:
        return datetime.fromtimestamp(int(at) / 1000, UTC), int(tx)
    except (ValueError, OverflowError, OSError):
        raise Invalid(
            "_page is not a page of this list; begin again without it.",
            vi="_page không phải trang của danh sách này; xin xem lại từ đầu.",
            expression=("_page",),
        ) from None
