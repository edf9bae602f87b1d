"""A search that takes too long is stopped and says so; what it used serves the next one.

https://hl7.org/fhir/R4/http.html#search: a server that is busy answers 503.
"""

import httpx
import psycopg

from servers import serving


def test_a_search_over_the_time_out_is_503_and_harms_nothing(database: str) -> None:
    with (
        serving(database, statement_timeout_ms="300", pool_size="2") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
        psycopg.connect(database) as other,
    ):
        assert client.get("/Patient?name=hoa").status_code == 200
        other.execute("lock table resource_patient in access exclusive mode")
        for _ in range(4):  # more than there are connections
            answer = client.get("/Patient?name=hoa")
            assert answer.status_code == 503
            assert "narrow" in answer.json()["issue"][0]["diagnostics"]
            assert answer.headers["retry-after"]
        other.rollback()
        for _ in range(4):
            assert client.get("/Patient?name=hoa").json()["total"] == 0
