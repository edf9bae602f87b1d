"""history: https://hl7.org/fhir/R4/http.html#history"""

import time
from typing import Any

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke


def _complete(client: httpx.Client, address: str, count: int) -> dict[str, Any]:
    """The history, once it has that many entries: those of a type and of the system stop where
    transactions are in flight, also those of other tests on the same cluster."""
    deadline = time.monotonic() + 10
    while True:
        bundle: dict[str, Any] = client.get(address).json()
        if len(bundle.get("entry", ())) >= count or time.monotonic() > deadline:
            return bundle
        time.sleep(0.05)


def test_instance_type_and_system_newest_first(client: httpx.Client) -> None:
    client.put("/Patient/h", json=resident(id="h"))
    client.put("/Patient/h", json=resident(id="h", active=True))
    client.delete("/Patient/h")
    for address in ("/Patient/h/_history", "/Patient/_history", "/_history"):
        bundle = _complete(client, address, 3)
        assert bundle["type"] == "history"
        mine = [e for e in bundle["entry"] if e["fullUrl"].endswith("/Patient/h")]
        assert [e["response"]["etag"] for e in mine] == ['W/"3"', 'W/"2"', 'W/"1"']
        assert "resource" not in mine[0]
        made = [(e["request"]["method"], e["response"]["status"]) for e in mine]
        assert made == [("DELETE", "204"), ("PUT", "200"), ("PUT", "201")]


def test_pages_follow_each_other_without_gap_or_repeat(client: httpx.Client) -> None:
    for number in range(7):
        client.put("/Patient/p", json=resident(id="p", active=number % 2 == 0))
    for address in ("/Patient/p/_history", "/Patient/_history", "/_history"):
        whole = _versions(client.get(address, params={"_count": 1000}).json())
        seen, url = [], f"{address}?_count=3"
        while url:
            page = client.get(url).json()
            assert len(page["entry"]) <= 3
            seen += _versions(page)
            url = next((k["url"] for k in page["link"] if k["relation"] == "next"), "")
        assert seen == whole


def test_since_leaves_out_what_is_older(client: httpx.Client) -> None:
    """_since: only include versions created at or after the instant."""
    client.put("/Patient/s", json=resident(id="s"))
    second = client.put("/Patient/s", json=resident(id="s", active=True)).json()
    since = second["meta"]["lastUpdated"]
    bundle = client.get("/Patient/s/_history", params={"_since": since}).json()
    assert _versions(bundle)[0] == ("s", "2")
    later = client.get("/Patient/s/_history", params={"_since": "2100-01-01T00:00:00Z"}).json()
    assert "entry" not in later


@pytest.mark.parametrize("query", ["_since=yesterday", "_count=x", "nonsense=1", "_page=?"])
def test_malformed_parameters_are_400(client: httpx.Client, query: str) -> None:
    assert client.get(f"/_history?{query}").status_code == 400


def _versions(bundle: dict) -> list[tuple[str, str]]:
    return [
        (e["fullUrl"].rpartition("/")[2], e["response"]["etag"][3:-1])
        for e in bundle.get("entry", [])
    ]
