"""What is done in the background is narrowed as what is asked for at once.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionExport.html,
https://hl7.org/fhir/uv/bulkdata/export.html
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.access_record import ASYNC, observation, parameters
from api.callers import HIV
from api.consents import consent
from api.patients import resident
from ehr_server.app import start_workers
from ehr_server.fhir import json
from inside import Inside, Told, caller, inside

FACILITY = caller("his", policy="facility", facility="bv1")
TEAM = caller("team", policy="data-team")
OTHER_TEAM = caller("team2", policy="data-team")
_COLUMN: Any = {"column": [{"name": "id", "path": "id"}]}
_VIEW = {"resourceType": "ViewDefinition", "resource": "Observation", "select": [_COLUMN]}


@pytest.fixture(scope="module")
def here(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """Whoever objects has one Observation, and another person an open and a restricted one."""
    folder = str(tmp_path_factory.mktemp("data"))
    with inside(module_database, data_dir=folder, processes="1") as found, ExitStack() as opened:
        found.put({"resourceType": "Organization", "id": "bv1", "name": "bv1"})
        for id_ in ("objects", "agrees"):
            found.put({**resident(), "id": id_}, by=FACILITY)
        found.put(
            {**observation("objects"), "id": "denied"},
            {**observation("agrees"), "id": "open"},
            {**observation("agrees", meta={"security": [HIV]}), "id": "restricted"},
            by=FACILITY,
        )
        found.put({**consent("objects"), "id": "no"})
        start_workers(found.dispatch, opened)
        yield found


def test_an_export_of_views_is_narrowed_as_a_view_that_is_run(here: Inside) -> None:
    """ "Without what is restricted and without those who object": the policy of data teams."""
    body = parameters(("viewResource", "resource", _VIEW))
    run = here.ask(TEAM, "POST $viewdefinition-run?_format=ndjson", body)
    assert [json.read(line)["id"] for line in run.body.splitlines()] == ["open"]
    view = {"name": "view", "part": [{"name": "viewResource", "resource": _VIEW}]}
    body = {"resourceType": "Parameters", "parameter": [view]}
    asked = here.ask(TEAM, "POST $viewdefinition-export", body, **ASYNC)
    assert asked.status == 202, asked.body
    id_ = asked.headers["Content-Location"].rpartition("/")[2]
    assert _ended(here, f"$viewdefinition-export-status/{id_}").status == 303
    result = here.ask(TEAM, f"GET $viewdefinition-export-status/{id_}/result")
    (output,) = [one for one in result.resource["parameter"] if one["name"] == "output"]
    (file,) = [one["valueUri"] for one in output["part"] if one["name"] == "location"]
    address = file.partition("/fhir/")[2]
    told = here.ask(TEAM, f"GET {address}").body
    assert [json.read(line)["id"] for line in told.splitlines()] == ["open"]
    assert here.ask(OTHER_TEAM, f"GET {address}").status == 404


def test_an_export_is_narrowed_so_too(here: Inside) -> None:
    asked = here.ask(TEAM, "GET $export?_type=Observation", **ASYNC)
    assert asked.status == 202, asked.body
    place = asked.headers["Content-Location"].partition("/fhir/")[2]
    (file,) = _ended(here, place).resource["output"]
    address = file["url"].partition("/fhir/")[2]
    told = here.ask(TEAM, f"GET {address}").body
    assert [json.read(line)["id"] for line in told.splitlines()] == ["open"]
    assert here.ask(OTHER_TEAM, f"GET {address}").status == 404


def _ended(here: Inside, place: str) -> Told:
    until = time.monotonic() + 60
    while (answer := here.ask(TEAM, f"GET {place}")).status == 202:
        assert time.monotonic() < until, place
        threading.Event().wait(0.05)
    return answer
