"""Who refers to a resource while it is deleted: one of the two is refused, never neither.

https://hl7.org/fhir/R4/http.html#delete
"""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.patients import resident
from api.test_referential_integrity import weight
from servers import Server

pytestmark = pytest.mark.smoke

ROUNDS = 25
WRITERS = 7


def test_a_delete_and_those_who_refer(server: Server) -> None:
    """Seven writers of single resources and Bundles against a delete, many times over."""
    outcomes = set()
    with (
        httpx.Client(base_url=server.fhir, timeout=60) as client,
        ThreadPoolExecutor(WRITERS + 1) as threads,
    ):

        def write(person: str, number: int) -> int:
            if number % 2:
                return client.post("/Observation", json=weight(person)).status_code
            entry = {
                "resource": weight(person),
                "request": {"method": "POST", "url": "Observation"},
            }
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 3}
            return client.post("/", json=bundle).status_code

        for number in range(ROUNDS):
            id_ = client.post("/Patient", json=resident(f"0011750{number:05}")).json()["id"]
            person = f"Patient/{id_}"
            writes = [threads.submit(write, person, at) for at in range(number % WRITERS)]
            delete = threads.submit(client.delete, f"/{person}")
            writes += [threads.submit(write, person, at) for at in range(number % WRITERS, WRITERS)]
            done = {one.result() for one in writes}
            is_deleted = delete.result().status_code == 204
            assert done <= {200, 201, 422}
            assert delete.result().status_code in (204, 409)
            found = client.get(f"/Observation?subject={person}&_count=0").json()["total"]
            assert (found == 0) is is_deleted
            assert client.get(f"/{person}").status_code == (410 if is_deleted else 200)
            outcomes.add(is_deleted)
    assert outcomes == {True, False}, "the race was never close"
