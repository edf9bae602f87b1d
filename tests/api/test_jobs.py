"""$jobs and `ehr-server jobs`: the work in the background, how far it is."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from api.patients import resident
from ehr_server import clock
from ehr_server.__main__ import main
from ehr_server.intake.load import Counts
from ehr_server.jobs.import_ import Progress as ImportProgress
from ehr_server.store import queue
from ehr_server.store.connect import Store
from ehr_server.store.progress import Progress
from ehr_server.store.queue import Job
from servers import ENCRYPTION_KEY, Server, serving

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("export")
    with serving(module_database, "--no-worker", export_dir=str(folder)) as started:
        yield started


def _jobs(client: httpx.Client, **asked: str) -> list[dict[str, Any]]:
    answer = client.get("/$jobs", params=asked)
    assert answer.status_code == 200, answer.text
    return [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in one["part"]}
        for one in answer.json().get("parameter", ())
    ]


def test_a_job_that_waits_and_its_address(client: httpx.Client) -> None:
    client.post("/Patient", json=resident())
    status = client.get("/$export", headers=ASYNC).headers["content-location"]
    first = _jobs(client)[0]
    assert (first["kind"], first["state"], first["status"]) == ("export", "queued", status)
    assert status.endswith(first["id"])
    assert "rate" not in first


def test_how_far_one_is_that_runs(client: httpx.Client, module_database: str) -> None:
    """A quarter is done: percent, rate and what is left follow from it."""
    began = clock.instant(clock.now())
    progress = Progress(began, parts=5, of=20, resources=500_000).as_json()
    _put(module_database, "running-one", queue.RUNNING, progress)
    (found,) = _jobs(client, state="running")
    assert (found["id"], found["percent"], found["resources"]) == ("running-one", 25, 500_000)
    assert found["rate"] > 0
    assert found["left"] >= 0


def test_by_kind_and_state_and_of_the_caller_alone(
    client: httpx.Client, module_database: str
) -> None:
    _put(module_database, "reindex-one", queue.DONE, {"percent": 100}, kind="reindex")
    _put(module_database, "of-another", queue.DONE, {}, caller="somebody")
    assert [one["id"] for one in _jobs(client, kind="reindex")] == ["reindex-one"]
    assert "of-another" not in {one["id"] for one in _jobs(client)}
    assert {one["state"] for one in _jobs(client, state="done")} == {"done"}
    assert len(_jobs(client, _count="1")) == 1


def test_an_import_too(client: httpx.Client, module_database: str) -> None:
    counts = Counts(stored=30_000, same=10_000)
    half = ImportProgress(read=500, size=1_000, seconds=200.0, counts=counts)
    _put(module_database, "import-one", queue.RUNNING, half.as_json(), kind="import")
    (found,) = _jobs(client, kind="import")
    assert found["status"].endswith("/$import-status/import-one")
    assert (found["percent"], found["resources"]) == (50, 40_000)
    assert 170 <= found["rate"] <= 200
    assert 200 <= found["left"] <= 230


def test_what_is_not_understood_is_400(client: httpx.Client) -> None:
    for query, said in (("state=sleeping", "state"), ("what=ever", "what")):
        refused = client.get(f"/$jobs?{query}")
        assert refused.status_code == 400
        assert said in refused.json()["issue"][0]["diagnostics"]


def test_on_the_command_line(
    server: Server, module_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(clock.instant(clock.now()), 1, 4, 1_000).as_json()
    _put(module_database, "told-one", queue.RUNNING, progress)
    with pytest.raises(SystemExit) as ended:
        main(["jobs", "--database-url", module_database, "--state", "running"])
    assert ended.value.code == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split("\t") == ["id", "kind", "state", "made", "progress"]
    (told,) = [row for row in rows if row.startswith("told-one\t")]
    assert "25 %, 1,000 resources" in told


def _put(
    url: str,
    id_: str,
    state: str,
    progress: dict[str, Any],
    kind: str = "export",
    caller: str | None = None,
) -> None:
    with (
        closing(Store(url, encryption_key=ENCRYPTION_KEY)) as store,
        store.connection() as connection,
    ):
        made = Job(id_, kind, state, {"caller": caller}, progress, 0, clock.now())
        queue.put(connection, made)


def test_progress_is_told_in_less_than_100_characters() -> None:
    """https://hl7.org/fhir/uv/bulkdata/export.html#response---in-progress-status: "a text
    description of the status of the request that is less than 100 characters"."""
    now = clock.now()
    long = Progress("2026-01-01T00:00:00Z", 9_999, 1_000_000, 10**12)
    assert len(long.told(now)) < 100
    assert Progress(clock.instant(now), 0, 0, 0).told(now).startswith("0 %")


def test_finished_work_is_whole(client: httpx.Client, module_database: str) -> None:
    progress = Progress(clock.instant(clock.now()), 4, 4, 7).as_json()
    _put(module_database, "done-one", queue.DONE, progress)
    (found,) = [one for one in _jobs(client, state="done") if one["id"] == "done-one"]
    assert found["percent"] == 100
    assert "left" not in found
