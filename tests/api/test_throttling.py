"""Limits of one client, and what its flood does to others: nothing. Clients are told apart by the
addresses that a trusted proxy says. https://www.rfc-editor.org/rfc/rfc6585#section-4"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.patients import resident
from servers import Server, serving

_NOISY, _QUIET = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}


@pytest.fixture(scope="module", params=["1", "2"])
def limited(module_database: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Five at once, and one more every second; by one process and by two."""
    settings = {"rate_per_client": "1", "burst_per_client": "5", "workers": request.param}
    with serving(module_database, trusted_proxies="127.0.0.1", **settings) as server:
        yield server


def test_who_asks_too_often_is_429_and_others_are_not(limited: Server) -> None:
    """All processes count together."""
    with ThreadPoolExecutor(12) as noise:
        flood = list(noise.map(lambda _: _metadata(limited, _NOISY), range(12)))
    assert sorted(answer.status_code for answer in flood)[:5] == [200] * 5
    turned_away = [answer for answer in flood if answer.status_code == 429]
    assert len(turned_away) >= 4  # the others came when a second was over
    refused = turned_away[0]
    assert refused.headers["Retry-After"] in ("1", "2")
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert refused.json()["issue"][0]["code"] == "throttled"
    for _ in range(3):
        assert _metadata(limited, _QUIET).status_code == 200
    assert httpx.get(f"{limited.url}/health/live", headers=_NOISY).status_code == 200


def _metadata(server: Server, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{server.fhir}/metadata", headers=headers, timeout=30)


def test_what_is_turned_away_was_not_stored_and_may_be_sent_again(limited: Server) -> None:
    someone = {"X-Forwarded-For": "203.0.113.3"}
    with httpx.Client(base_url=limited.fhir, headers=someone, timeout=30) as client:
        while client.get("/metadata").status_code != 429:
            pass
        begun, tries = time.monotonic(), 0
        while (answer := client.put("/Patient/again", json=resident(id="again"))).is_error:
            assert answer.status_code == 429
            assert answer.headers["Connection"] == "close"  # its body was not read
            assert time.monotonic() - begun < 60
            tries += 1
            time.sleep(int(answer.headers["Retry-After"]) / 2)
    assert answer.status_code in (200, 201)


def test_what_was_turned_away_is_counted(limited: Server) -> None:
    families = text_string_to_metric_families(httpx.get(f"{limited.url}/metrics").text)
    (found,) = (one for one in families if one.name == "ehr_throttled")
    counts = {one.labels["why"]: one.value for one in found.samples if one.name.endswith("_total")}
    assert counts["rate"] >= 4
    assert "203.0.113" not in httpx.get(f"{limited.url}/metrics").text


def test_requests_of_one_client_under_way(database: str) -> None:
    """Those that hang on a lock of the database, here: others go on, and find a thread."""
    settings = {"concurrent_per_client": "6", "pool_size": "4", "statement_timeout_ms": "20000"}
    with (
        serving(database, trusted_proxies="127.0.0.1", **settings) as server,
        psycopg.connect(database) as other,
        ThreadPoolExecutor(20) as noise,
    ):
        one = httpx.put(f"{server.fhir}/Observation/1", json=_observation())
        assert one.status_code == 201
        other.execute("lock table resource_patient in access exclusive mode")
        flood = [noise.submit(_search, server) for _ in range(16)]
        while sum(task.done() for task in flood) < 10:  # ten of sixteen are turned away
            time.sleep(0.05)
        assert {task.result() for task in flood if task.done()} == {429}
        begun = time.monotonic()
        for _ in range(20):
            found = httpx.get(f"{server.fhir}/Observation/1", headers=_QUIET, timeout=10)
            assert found.status_code == 200
        assert time.monotonic() - begun < 10
        assert sum(task.done() for task in flood) == 10  # and the six still hang
        other.rollback()
        assert sorted(task.result() for task in flood) == [200] * 6 + [429] * 10


def _search(server: Server) -> int:
    answer = httpx.get(f"{server.fhir}/Patient?name=ngop", headers=_NOISY, timeout=60)
    return answer.status_code


def _observation() -> dict[str, object]:
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    return {"resourceType": "Observation", "id": "1", "status": "final", "code": code}


def test_on_open_loopback_nothing_is_limited_unless_it_is_set(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert {client.get("/fhir/Patient/none").status_code for _ in range(600)} == {404}
