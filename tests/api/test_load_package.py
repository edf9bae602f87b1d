"""`ehr-server load-package`: live in every process, without a restart.

https://hl7.org/fhir/R4/implementationguide.html,
https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.supportedProfile
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from api.patients import resident
from api.test_command_line import run
from servers import Server, serving
from tarballs import BASE, guide, implementation_guide, profile, written

pytestmark = pytest.mark.smoke

GUIDE = f"{BASE}/ImplementationGuide/guide"
URL = f"{BASE}/StructureDefinition/donor"
BIRTH_DATE = {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}


def metadata(server: Server) -> dict[str, Any]:
    """By a connection of its own, which any of the processes may take."""
    statement: dict[str, Any] = httpx.get(f"{server.fhir}/metadata", timeout=10).json()
    return statement


def supported(statement: dict[str, Any], type_name: str = "Patient") -> list[str]:
    [row] = [row for row in statement["rest"][0]["resource"] if row["type"] == type_name]
    profiles: list[str] = row.get("supportedProfile", [])
    return profiles


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def workers(server: Server) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@contextmanager
def alone(worker: psutil.Process, server: Server) -> Iterator[None]:
    """Only this process of the server answers."""
    others = [other for other in workers(server) if other != worker]
    for other in others:
        other.suspend()
    try:
        yield
    finally:
        for other in others:
            other.resume()


def test_both_processes_of_a_server_take_up_what_is_loaded(database: str, tmp_path: Path) -> None:
    with serving(database, "--workers=2") as server:
        both = workers(server)
        assert len(both) == 2
        for worker in both:  # what was answered before is remembered, and must not be any more
            with alone(worker, server):
                assert "implementationGuide" not in metadata(server)
        file = written(tmp_path, guide(profile(), implementation_guide()))
        done = run("load-package", file, "--database-url", database)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "org.example.guide#1.0.0 is loaded: 2 artifacts, 1 of them StructureDefinitions\n"
        )
        for worker in both:
            with alone(worker, server):
                assert within(5, lambda: URL in supported(metadata(server)))
                assert metadata(server)["implementationGuide"] == [f"{GUIDE}|1.0.0"]
        assert server.process.poll() is None
        assert workers(server) == both


def test_local_profiles_are_listed_too(server: Server) -> None:
    assert "http://ehr-server.org/fhir/vn/StructureDefinition/resident" in supported(
        metadata(server)
    )


def test_resources_are_held_to_what_is_loaded(database: str, tmp_path: Path) -> None:
    unknown = {**resident(), "meta": {"profile": [URL]}}
    del unknown["birthDate"]
    file = written(tmp_path, guide(profile(BIRTH_DATE)))
    with serving(database, profiles=f"{URL}=reject") as server, httpx.Client() as client:
        address = f"{server.fhir}/Patient"
        assert client.post(address, json=unknown).status_code == 201
        assert run("load-package", file, "--database-url", database).returncode == 0
        assert within(5, lambda: client.post(address, json=unknown).status_code == 400)
        issues = client.post(address, json=unknown).json()["issue"]
        [error] = [issue for issue in issues if issue["severity"] == "error"]
        assert error["expression"] == ["Patient.birthDate"]


def test_a_bad_package_leaves_what_was_valid_before(database: str, tmp_path: Path) -> None:
    good = written(tmp_path, guide(profile(), implementation_guide()), "good.tgz")
    circle = profile(baseDefinition=URL)
    bad = written(tmp_path, guide(circle, implementation_guide("2"), version="2.0.0"), "bad.tgz")
    assert run("load-package", good, "--database-url", database).returncode == 0
    with serving(database) as server:
        before = metadata(server)
        done = run("load-package", bad, "--database-url", database)
        assert done.returncode == 1
        assert done.stdout.startswith(f"error: StructureDefinition {URL}: ")
        assert done.stdout.endswith("nothing was loaded: 1 errors\n")
        time.sleep(1)
        assert metadata(server) == before
        assert before["implementationGuide"] == [f"{GUIDE}|1.0.0"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no gzip", "guide.tgz is no .tgz, or is broken"),
        (guide(dependencies={"org.example.other": "1.0.0"}), "org.example.other#1.0.0"),
        (guide(fhirVersions=["5.0.0"]), "not for FHIR 4.0"),
    ],
    ids=["broken", "dependency", "version"],
)
def test_mistakes_are_told_in_one_line(
    database: str, tmp_path: Path, data: bytes, says: str
) -> None:
    done = run("load-package", written(tmp_path, data), "--database-url", database)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_a_file_that_is_not_there_is_told_in_one_line(database: str, tmp_path: Path) -> None:
    done = run("load-package", tmp_path / "nothing.tgz", "--database-url", database)
    assert done.returncode == 1
    assert "nothing.tgz" in done.stderr
    assert "Traceback" not in done.stderr
