"""An unchanged client of bulk data works against us: smart-fetch."""

import gzip
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json
from servers import Server, serving

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("smart_fetch") is None, reason="smart-fetch is not installed"
)

_RUN = "import sys; from smart_fetch.cli.main import main_cli; sys.exit(main_cli())"


@pytest.fixture(scope="module")
def server(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(module_database, export_dir=str(tmp_path_factory.mktemp("export"))) as started:
        yield started


@pytest.fixture
def seen(client: httpx.Client) -> set[bytes]:
    """What is there: two people and a weight."""
    people = [client.put(f"/Patient/{one}", json=resident(id=one)) for one in ("lan", "mai")]
    content = json.write(weight("Patient/lan") | {"id": "w"})
    headers = {"Content-Type": "application/fhir+json"}
    weighed = client.put("/Observation/w", content=content, headers=headers)
    return {client.get(f"/Patient/{one.json()['id']}").content for one in people} | {
        client.get(f"/Observation/{weighed.json()['id']}").content
    }


def _fetched(server: Server, out: Path, *options: str) -> set[bytes]:
    """The lines of the files that `smart-fetch bulk` writes."""
    command = [sys.executable, "-c", _RUN, "bulk", "--fhir-url", server.fhir, *options, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        line
        for path in out.glob("*.ndjson.gz")
        if not path.name.startswith("log.")
        for line in gzip.decompress(path.read_bytes()).splitlines()
    }


def test_some_types(server: Server, seen: set[bytes], tmp_path: Path) -> None:
    options = ("--type", "Patient,Observation", "--no-default-filters")
    assert _resources(_fetched(server, tmp_path, *options)) == _resources(seen)


def test_what_changed_since(server: Server, seen: set[bytes], tmp_path: Path) -> None:
    options = ("--type", "Patient", "--since", "2026-01-01T00:00:00Z")
    found = _resources(_fetched(server, tmp_path, *options))
    assert found == {one for one in _resources(seen) if one[0] == "Patient"}


def test_type_filters(server: Server, seen: set[bytes], tmp_path: Path) -> None:
    """By default it asks for the categories of Observations that it knows, by `_typeFilter`."""
    options = ("--type", "Patient", "--type-filter", "Patient?gender=female")
    found = _resources(_fetched(server, tmp_path / "female", *options))
    assert found == {one for one in _resources(seen) if one[0] == "Patient"}
    assert not _fetched(
        server, tmp_path / "male", "--type", "Patient", "--type-filter", "Patient?gender=male"
    )
    assert not _fetched(server, tmp_path / "default", "--type", "Observation")


def _resources(lines: set[bytes]) -> set[tuple[str, str, str]]:
    """Type, id and version of each."""
    found = [json.read(line) for line in lines]
    return {(one["resourceType"], one["id"], one["meta"]["versionId"]) for one in found}
