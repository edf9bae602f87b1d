"""A hundred lives that nobody here wrote: loaded over HTTP, read back as sent, exported exactly.

The Bundles lie beside the checkout, in ../shared/data; without them the test is left out.
"""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ehr_server.fhir import json

BUNDLES = sorted(Path(__file__).parents[3].glob("shared/data/synthea-r4/*.json.gz"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BUNDLES, reason="the shared data do not lie beside the checkout"),
]


def test_whole_lives(client: httpx.Client) -> None:
    sent = dict(_load(client))
    assert len(sent) == 31_568
    for place in list(sent)[::50]:
        answer = client.get(place)
        assert answer.status_code == 200
        assert _body(json.read(answer.content)) == sent[place]
    exported = {
        f"{resource['resourceType']}/{resource['id']}": _body(resource)
        for resource in _export(client)
    }
    assert exported == sent


def _load(client: httpx.Client) -> Iterator[tuple[str, bytes]]:
    """Post every Bundle; each resource's new address, and its body as it was sent."""
    for path in BUNDLES:
        body = gzip.decompress(path.read_bytes())
        answer = client.post("/", content=body, headers={"Content-Type": "application/fhir+json"})
        assert answer.status_code == 200, answer.text[:500]
        sent = json.read(body)["entry"]
        entries = answer.json()["entry"]
        assert len(entries) == len(sent)
        places = ["/".join(entry["response"]["location"].split("/")[-4:-2]) for entry in entries]
        links = {entry["fullUrl"]: place for entry, place in zip(sent, places, strict=True)}
        for entry, place in zip(sent, places, strict=True):
            yield place, _body(_linked(entry["resource"], links))


def _linked(value: Any, links: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: links.get(item, item) if name == "reference" else _linked(item, links)
            for name, item in value.items()
        }
    return [_linked(item, links) for item in value] if isinstance(value, list) else value


def _body(resource: dict[str, Any]) -> bytes:
    """All but what the server gives: the bytes, so that 107.50 is not 107.5."""
    given = ("id", "meta")
    return json.write({name: value for name, value in resource.items() if name not in given})


def _export(client: httpx.Client) -> Iterator[dict[str, Any]]:
    asked = client.get("/$export", headers={"Prefer": "respond-async"})
    assert asked.status_code == 202
    status = asked
    while status.status_code == 202:
        time.sleep(0.2)
        status = client.get(asked.headers["Content-Location"])
    assert status.status_code == 200, status.text
    for file in status.json()["output"]:
        lines = client.get(file["url"]).content.splitlines()
        assert len(lines) == file["count"]
        for line in lines:
            resource = json.read(line)
            assert resource["resourceType"] == file["type"]
            yield resource
