"""Merges at once, and writes in between: never half, never twice.

https://hl7.org/fhir/R4/http.html#concurrency, https://hl7.org/fhir/R5/patient-operation-merge.html
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.merges import content, found, merge, new_number, observed, person, referring
from servers import Server

pytestmark = pytest.mark.smoke


@pytest.fixture
def pair(client: httpx.Client) -> tuple[str, str]:
    """Two records of one person: the ids of source and target."""
    return person(client, new_number()), person(client, new_number())


def test_one_of_many_merges_of_a_pair(
    server: Server, client: httpx.Client, pair: tuple[str, str]
) -> None:
    source, target = pair
    both = [(source, target), (target, source)] * 8
    statuses = Counter(_together(server, [lambda http, p=p: merge(http, *p) for p in both]))
    assert statuses == {200: 1, 422: 15}
    inactive = [one for one in pair if content(client, one).get("active") is False]
    assert len(inactive) == 1
    for id_ in pair:
        assert client.get(f"/Patient/{id_}/_history").json()["total"] == 2
    assert len(found(client, f"Provenance?target=Patient/{source}")) == 1


def test_many_into_one(server: Server, client: httpx.Client) -> None:
    target = person(client, new_number())
    sources = [person(client, new_number()) for _ in range(8)]
    every = {observed(client, one) for one in (target, *sources)}
    statuses = _together(server, [lambda http, s=s: merge(http, s, target) for s in sources])
    assert set(statuses) == {200}
    assert found(client, f"Observation?patient={sources[0]}") == every
    assert len(content(client, target)["link"]) == 8
    assert len(content(client, target)["identifier"]) == 9


def test_updates_in_between_are_kept(
    server: Server, client: httpx.Client, pair: tuple[str, str]
) -> None:
    """A patch runs again on what the merge made, and the merge on what the patch made."""
    source, target = pair

    def patched(http: httpx.Client, at: int) -> httpx.Response:
        phone = {"system": "phone", "value": f"090000000{at}"}
        patch = [{"op": "add", "path": "/telecom/-", "value": phone}]
        sent = {"Content-Type": "application/json-patch+json"}
        return http.patch(f"/Patient/{target}", json=patch, headers=sent)

    phone = {"system": "phone", "value": "0900000009"}
    now = client.get(f"/Patient/{target}").json()
    client.put(f"/Patient/{target}", json={**now, "telecom": [phone]})
    deeds: list[Any] = [lambda http, at=at: patched(http, at) for at in range(7)]
    deeds.insert(4, lambda http: merge(http, source, target))
    assert set(_together(server, deeds)) == {200}
    then = content(client, target)
    assert len(then["telecom"]) == 8
    assert then["link"] == [{"other": referring(source), "type": "replaces"}]
    assert len(then["identifier"]) == 2


def _together(server: Server, deeds: list[Callable[[httpx.Client], httpx.Response]]) -> list[int]:
    def run(deed: Callable[[httpx.Client], httpx.Response]) -> int:
        with httpx.Client(base_url=server.fhir, timeout=60) as http:
            return deed(http).status_code

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))
