"""/metrics: the text format of Prometheus,
https://prometheus.io/docs/instrumenting/exposition_formats/"""

import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.patients import resident
from servers import Server, serving


@pytest.fixture(scope="module", params=["1", "2"])
def server(module_database: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """One process, and two that share a port: each scrape tells of both."""
    with serving(module_database, workers=request.param) as started:
        yield started


def test_requests_are_counted_by_interaction_and_class_of_status(server: Server) -> None:
    before = _scraped(server)
    with httpx.Client(base_url=server.fhir) as client:
        for _ in range(10):
            assert client.get("/Patient").status_code == 200
        assert client.get("/Patient/unheard-of").status_code == 404
        assert client.get("/Nothing").status_code == 404
        assert client.post("/Patient/$validate", json=resident()).status_code == 200
    after = _scraped(server)

    def more(interaction: str, status: str) -> float:
        labels = (("interaction", interaction), ("status", status))
        name = "ehr_request_seconds_count"
        return after[name, labels] - before.get((name, labels), 0)

    assert more("search-type", "2xx") == 10
    assert more("read", "4xx") == 1
    assert more("none", "4xx") == 1
    assert more("Resource-validate", "2xx") == 1


def test_what_is_stored_is_counted_by_deed(server: Server) -> None:
    before = _scraped(server)
    with httpx.Client(base_url=server.fhir) as client:
        created = client.post("/Patient", json={"resourceType": "Patient", "active": True}).json()
        client.put(f"/Patient/{created['id']}", json={**created, "active": False})
        client.delete(f"/Patient/{created['id']}")
        client.post("/Patient", json={"resourceType": "Patient", "gender": "unheard-of"})
    after = _scraped(server)
    for deed in ("create", "update", "delete"):
        key = ("ehr_stored_versions_total", (("deed", deed),))
        assert after[key] - before[key] == 1, deed


def test_bytes_and_what_is_in_flight(server: Server) -> None:
    before = _scraped(server)
    with httpx.Client(base_url=server.fhir) as client:
        answer = client.post("/Patient", content=b"x" * 1000)
    after = _scraped(server)
    assert after["ehr_received_bytes_total", ()] - before["ehr_received_bytes_total", ()] == 1000
    out = after["ehr_sent_bytes_total", ()] - before["ehr_sent_bytes_total", ()]
    assert out == len(answer.content)
    assert after["ehr_requests_in_flight", ()] == 0


def test_the_database_jobs_the_pool_and_the_worker(server: Server) -> None:
    httpx.get(f"{server.fhir}/$export", headers={"Prefer": "respond-async"})
    found = _scraped(server)
    assert found["ehr_database_up", ()] == 1
    assert found["ehr_database_bytes", ()] > 1e6
    assert sum(v for (name, labels), v in found.items()
               if name == "ehr_jobs" and ("kind", "export") in labels) >= 1  # fmt: skip
    assert found["ehr_pool_connections", (("state", "open"),)] >= 1
    assert found["ehr_memory_bytes", ()] > 1e6
    assert abs(time.time() - found["ehr_worker_seen_seconds", ()]) < 60


def test_no_label_names_a_person(server: Server) -> None:
    with httpx.Client(base_url=server.fhir) as client:
        client.put("/Patient/secret-id", json={"resourceType": "Patient", "id": "secret-id"})
        client.get("/Patient", params={"name": "secretname"})
        client.get("/secretpath/a/b/c/d")
    text = httpx.get(f"{server.url}/metrics").text
    assert "secret" not in text
    assert len(text) < 200_000


def test_it_can_be_turned_off(database: str) -> None:
    with serving(database, no_metrics="yes") as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 404
        assert httpx.get(f"{server.fhir}/Patient").status_code == 200


def _scraped(server: Server) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = httpx.get(f"{server.url}/metrics", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
