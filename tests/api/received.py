"""An export as its receiver sees it: asked for, waited for, downloaded, held to its manifest."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity

ASYNC = {"Prefer": "respond-async"}

Place = tuple[str, str]  # type and id

_WAIT_S = 120


@dataclass(frozen=True)
class Export:
    """What one export holds: lines by type and id, and what it says was deleted."""

    manifest: dict[str, Any]
    lines: dict[Place, bytes]
    deleted: frozenset[Place]

    @property
    def at(self) -> str:
        """The moment it is of."""
        return str(self.manifest["transactionTime"])


@dataclass
class Copy:
    """A copy of the record that is kept by exports alone, one applied after the other."""

    lines: dict[Place, bytes] = field(default_factory=dict)

    def apply(self, export: Export) -> None:
        """What came replaces what was there; what was deleted goes. Nothing is in both."""
        for place in export.deleted:
            self.lines.pop(place, None)
        self.lines.update(export.lines)


def kick_off(client: httpx.Client, path: str = "/$export", **query: str) -> str:
    """The status address of a new export; `query` without the underscore: `type="Patient"`."""
    answer = client.get(path, params={f"_{name}": one for name, one in query.items()},
                        headers=ASYNC)  # fmt: skip
    assert answer.status_code == 202, answer.text
    return answer.headers["content-location"]


def manifest_of(client: httpx.Client, status_url: str) -> dict[str, Any]:
    """Wait for the end; the manifest."""
    end = time.monotonic() + _WAIT_S
    while True:
        answer = client.get(status_url)
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code == 202, answer.text
        assert time.monotonic() < end, "the export does not end"
        time.sleep(0.05)


def downloaded(client: httpx.Client, manifest: dict[str, Any]) -> Export:
    """Every file of the manifest. Asserts that each has as many whole lines as was told, that
    nothing comes twice, and that nothing is both there and deleted: "SHALL NOT appear in the
    'output' section", https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status."""
    lines: dict[Place, bytes] = {}
    for file in manifest["output"]:
        for line in _lines(client, file):
            type_name, id_ = identity(line)
            assert type_name == file["type"]
            assert (type_name, id_) not in lines, f"{type_name}/{id_} is there twice"
            lines[type_name, id_] = line
    deleted: set[Place] = set()
    for file in manifest.get("deleted", ()):
        assert file["type"] == "Bundle"
        for line in _lines(client, file):
            bundle = json.read(line)
            assert bundle["type"] == "transaction"
            for entry in bundle["entry"]:
                assert entry["request"]["method"] == "DELETE"
                type_name, _, id_ = entry["request"]["url"].partition("/")
                assert (type_name, id_) not in deleted, f"{type_name}/{id_} is deleted twice"
                deleted.add((type_name, id_))
    assert not deleted & lines.keys(), "both there and deleted"
    return Export(manifest, lines, frozenset(deleted))


def export(client: httpx.Client, path: str = "/$export", **query: str) -> Export:
    """From the kick-off to the last byte."""
    return downloaded(client, manifest_of(client, kick_off(client, path, **query)))


def _lines(client: httpx.Client, file: dict[str, Any]) -> list[bytes]:
    answer = client.get(file["url"])
    assert answer.status_code == 200, answer.text
    content = answer.content
    assert content.endswith(b"\n")
    lines = content.split(b"\n")[:-1]
    assert len(lines) == file["count"], f"{file['url']}: {len(lines)} lines, {file['count']} told"
    for line in lines:
        json.read(line)  # refuses what is cut off or has two resources
    return lines
