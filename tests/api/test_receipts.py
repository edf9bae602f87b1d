"""$receipts: what was stored on a day, to be compared with what was sent. docs/guides/pushing.md"""

from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from api.pushes import checkup, new_key, parts, send

pytestmark = pytest.mark.smoke


def test_what_was_stored_on_a_day_is_listed_page_by_page(client: httpx.Client) -> None:
    sender = f"http://{new_key()}.example/his"
    keys = [new_key() for _ in range(5)]
    for key in keys:
        sent = checkup() | {"meta": {"source": sender}}
        assert send(client, sent, **{"Idempotency-Key": key}).status_code == 200
    today = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).date().isoformat()
    told = parts(client.get("/$receipts", params={"date": today, "sender": sender}))
    assert told["pushes"] == 5
    totals = {one["type"]: one["count"] for one in told["total"]}
    assert totals == {"Patient": 5, "Observation": 10}
    assert [one["key"] for one in told["receipt"]] == keys
    one = told["receipt"][0]
    assert (one["state"], one["status"], one["entries"]) == ("stored", 200, 3)
    assert {n["type"]: n["count"] for n in one["resources"]} == {"Patient": 1, "Observation": 2}
    assert len(one["digest"]) == 32
    paged: list[str] = []
    address = f"/$receipts?sender={sender}&_count=2"
    while address:
        page = parts(client.get(address))
        assert page["pushes"] == 5
        paged += (each["key"] for each in page["receipt"])
        address = page.get("next", "")
    assert paged == keys
    assert "receipt" not in parts(client.get(f"/$receipts?date=2020-01-01&sender={sender}"))


@pytest.mark.parametrize(
    "asked", ["date=yesterday", "date=2026-02-30", "_page=x", "_page=9.9e9", "_count=-1", "day=1"]
)
def test_a_day_that_is_none_is_400(client: httpx.Client, asked: str) -> None:
    assert client.get(f"/$receipts?{asked}").status_code == 400
