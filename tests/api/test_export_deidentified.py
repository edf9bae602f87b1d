"""$export under a policy: nothing that tells who somebody is, and still one record a person.

https://hl7.org/fhir/R4/security.html#deidentification: "the removal of data that could identify
individuals"; `_deidentify` and `_restricted` are parameters of this server.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.exports import ASYNC, LENIENT, exported, finished, posted, put, resources
from api.merges import merged
from api.patients import resident, weight
from ehr_server.access.veiled import veil_of
from ehr_server.errors import Forbidden
from ehr_server.fhir import json
from ehr_server.settings import Settings
from narrowed import narrowed
from servers import Server

# Whatever of these is found in an export tells who somebody is.
NUMBER, PHONE, STREET, BORN = "001174999321", "0912345678", "Hẻm 42 Nguyễn Trãi", "1974-05-20"
NAMES = ("Phạm", "Ngọp", "Hồng")
IDS = ("person-a", "person-b", "weight-a", "hiv-a", "hanh-group")
TELLING = (NUMBER, PHONE, STREET, "Nguyễn Trãi", BORN, *NAMES, *IDS)


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> Iterator[None]:
    """Two residents, a weight, an HIV test, a Group, and somebody who was here once."""
    contact = [{"system": "phone", "value": PHONE}]
    address = [{"line": [STREET], "state": "Hà Nội", "country": "VN", "text": STREET}]
    hiv = weight("Patient/person-a") | {
        "id": "hiv-a",
        "code": {"coding": [{"system": "http://loinc.org", "code": "56888-1"}]},
        "note": [{"text": "Chị Hồng"}],
    }
    group = {
        "resourceType": "Group",
        "id": "hanh-group",
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": "Patient/person-a"}}],
    }
    person = resident(NUMBER, id="person-a", telecom=contact, address=address)
    with httpx.Client(base_url=server.fhir) as client:
        put(
            client, person, resident(id="person-b"), weight("Patient/person-a") | {"id": "weight-a"}
        )
        put(client, hiv, group)
        yield


def _whole(client: httpx.Client, manifest: dict[str, Any]) -> str:
    """Every byte that a receiver gets."""
    files = [one for kind in ("output", "deleted", "error") for one in manifest.get(kind, ())]
    texts = [client.get(file["url"]).text for file in files]
    return "\n".join([json.write(manifest).decode(), *texts])


def _tells_nobody(client: httpx.Client, manifest: dict[str, Any]) -> None:
    text = _whole(client, manifest)
    for telling in TELLING:
        assert telling not in text, telling


def _by_type(client: httpx.Client, manifest: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in resources(client, manifest):
        found.setdefault(one["resourceType"], []).append(one)
    return found


def test_what_is_searched_for_is_in_a_plain_export(client: httpx.Client) -> None:
    """Else the tests below could not fail."""
    text = _whole(client, exported(client))
    assert [one for one in TELLING if one not in text] == []


@pytest.mark.parametrize("policy", ["research", "statistics"])
def test_nothing_tells_who_somebody_is(client: httpx.Client, policy: str) -> None:
    manifest = exported(client, _deidentify=policy)
    _tells_nobody(client, manifest)
    found = _by_type(client, manifest)
    assert len(found["Patient"]) == 2
    assert len(found["Observation"]) == 1, "the HIV test is left out"
    ids = {f"Patient/{one['id']}" for one in found["Patient"]}
    assert found["Observation"][0]["subject"]["reference"] in ids


def test_two_exports_fit_together_by_get_and_post(client: httpx.Client) -> None:
    first, second = (
        sorted(map(json.write, resources(client, manifest)))
        for manifest in (
            exported(client, _deidentify="research"),
            posted(client, "/$export", ("_deidentify", "valueCode", "research")),
        )
    )
    assert first == second
    other = sorted(map(json.write, resources(client, exported(client, _deidentify="statistics"))))
    assert not {json.read(one)["id"] for one in first} & {json.read(one)["id"] for one in other}


@pytest.mark.parametrize(
    "address", ["/Patient/$export", "/Patient/person-a/$export", "/Group/hanh-group/$export"]
)
def test_every_level(client: httpx.Client, address: str) -> None:
    manifest = exported(client, address, _deidentify="research")
    _tells_nobody(client, manifest)
    assert len(_by_type(client, manifest)["Observation"]) == 1


def test_somebody_named_and_a_search_are_not_told_of(client: httpx.Client) -> None:
    query = {"patient": "Patient/person-a", "_typeFilter": "Observation?subject=Patient/person-a"}
    manifest = exported(client, "/Patient/$export", **query, _deidentify="research")
    _tells_nobody(client, manifest)
    assert len(_by_type(client, manifest)["Observation"]) == 1, (
        "it is the original that is searched"
    )
    lenient = {"patient": "Patient/person-a,Patient/hanh-nobody", "_deidentify": "research"}
    kicked = client.get("/Patient/$export", params=lenient, headers=LENIENT)
    manifest = finished(client, kicked)
    assert "hanh-nobody" not in _whole(client, manifest)
    assert manifest["error"][0]["count"] == 1, "and that somebody is missing is told"


def test_blocks_are_headed_by_pseudonyms(client: httpx.Client) -> None:
    manifest = exported(client, _deidentify="research", organizeOutputBy="Patient")
    _tells_nobody(client, manifest)
    (file,) = manifest["output"]
    lines = list(map(json.read, client.get(file["url"]).content.splitlines()))
    headed = {
        one["parameter"][0]["valueReference"]["reference"]
        for one in lines
        if one["resourceType"] == "Parameters"
    }
    assert headed == {f"Patient/{one['id']}" for one in lines if one["resourceType"] == "Patient"}


def test_deletions_name_pseudonyms(client: httpx.Client) -> None:
    put(client, weight("Patient/person-b") | {"id": "hanh-gone"})
    before = exported(client, _deidentify="research")
    known = {one["id"] for one in resources(client, before)}
    client.delete("/Observation/hanh-gone").raise_for_status()
    since = exported(client, _deidentify="research", _since=before["transactionTime"])
    _tells_nobody(client, since)
    assert "hanh-gone" not in _whole(client, since)
    urls = [
        entry["request"]["url"]
        for bundle in resources(client, since, "deleted")
        for entry in bundle["entry"]
    ]
    assert len(urls) == 1
    assert urls[0].removeprefix("Observation/") in known


def test_elements_are_of_what_is_left(client: httpx.Client) -> None:
    manifest = exported(client, _deidentify="research", _elements="Patient.name,Patient.birthDate")
    _tells_nobody(client, manifest)
    for one in _by_type(client, manifest)["Patient"]:
        assert one["birthDate"] in ("1973", "1974"), "the year of the birth as it is moved"
        assert "gender" not in one


def test_a_table_of_resources(client: httpx.Client) -> None:
    manifest = exported(client, _deidentify="research", _outputFormat="parquet")
    whole = b"".join(client.get(file["url"]).content for file in manifest["output"])
    assert manifest["output"]
    assert [one for one in TELLING if one.encode() in whole] == []


def test_restricted_data_come_when_asked_for_by_name(client: httpx.Client) -> None:
    manifest = exported(client, _deidentify="research", _restricted="HIV")
    _tells_nobody(client, manifest)
    assert len(_by_type(client, manifest)["Observation"]) == 2
    other = exported(client, _deidentify="research", _restricted="PSY")
    assert len(_by_type(client, other)["Observation"]) == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"_deidentify": "nobody"}, "research, statistics"),
        ({"_deidentify": "../research"}, "research, statistics"),
        ({"_deidentify": "research", "_restricted": "EVERYTHING"}, "HIV"),
        ({"_restricted": "HIV"}, "_deidentify"),
    ],
)
def test_what_is_not_known_is_refused(
    client: httpx.Client, query: dict[str, str], told: str
) -> None:
    answer = client.get("/$export", params=query, headers=ASYNC)
    assert answer.status_code == 400
    assert told in answer.json()["issue"][0]["diagnostics"]


def test_restricted_data_need_the_right() -> None:
    """403, not an export that silently lacks them. On loopback everyone has the right."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Forbidden, match="HIV") as refused:
        veil_of(Settings(), narrowed("data-team"), ("research", ["HIV"]), at)
    assert refused.value.status == 403
    assert veil_of(Settings(), narrowed("data-team"), ("research", []), at) is not None


def test_records_of_one_person_keep_one_time(client: httpx.Client) -> None:
    """The days between what two records hold that were merged are what they were; their ids stay
    two."""
    ids = [client.post("/Patient", json=resident()).json()["id"] for _ in range(2)]
    for id_ in ids:
        put(client, weight(f"Patient/{id_}") | {"id": f"of-{id_}"})
    merged(client, *ids)
    manifest = exported(client, f"/Patient/{ids[1]}/$export", _deidentify="research")
    found = _by_type(client, manifest)
    assert len({one["id"] for one in found["Patient"]}) == 2
    times = [one["effectiveDateTime"] for one in found["Observation"]]
    assert len(times) == 2
    assert len(set(times)) == 1, "both were weighed on the same morning"


def test_the_command(server: Server, tmp_path: Path) -> None:
    view = tmp_path / "people.json"
    select = [{"column": [{"name": "name", "path": "name.text"}, {"name": "id", "path": "id"}]}]
    definition = {"resourceType": "ViewDefinition", "name": "people", "resource": "Patient"}
    view.write_bytes(json.write({**definition, "status": "active", "select": select}))
    for options in ((), ("--view", str(view))):
        out = tmp_path / f"out{len(options)}"
        done = _command(server, out, "--deidentify", "research", *options)
        assert done.returncode == 0, done.stderr
        whole = b"".join(path.read_bytes() for path in out.iterdir())
        assert [one for one in TELLING if one.encode() in whole] == []
        assert len(list(out.iterdir())) > 1
    refused = _command(server, tmp_path / "none", "--deidentify", "nobody")
    assert refused.returncode != 0
    assert "research, statistics" in refused.stderr


def _command(server: Server, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", "export", "--out", str(out), *options]
    at = ["--database-url", str(server.database_url)]
    return subprocess.run([*command, *at], capture_output=True, text=True, check=False, timeout=60)
