"""What the CapabilityStatement promises has its file in tests/api that proves it."""

from pathlib import Path

import pytest

from ehr_server.rest.capabilities import Guides, statement
from ehr_server.rest.routes import INTERACTIONS, found_operations

API = Path(__file__).parents[1] / "api"

ROUTES = (*INTERACTIONS, *found_operations())

# Where the page of the standard tells several interactions together, so does the file.
TOLD_IN = {
    "run": "viewdefinition-run",
    "history-instance": "history",
    "history-type": "history",
    "history-system": "history",
    "search-compartment": "search-system",
    "meta-add": "meta",
    "meta-delete": "meta",
}
FLAGS = ("conditionalCreate", "conditionalRead", "conditionalUpdate", "conditionalDelete")


def _file(name: str) -> Path:
    return API / f"test_{TOLD_IN.get(name, name).replace('-', '_')}.py"


def _operations() -> set[str]:
    return {
        segment.lstrip("$").split("-status")[0]
        for route in ROUTES
        for segment in route.pattern.split("/")
        if segment.startswith("$")
    }


@pytest.mark.parametrize("name", sorted({route.interaction for route in INTERACTIONS}))
def test_an_interaction_has_its_file(name: str) -> None:
    assert _file(name).is_file(), f"{name} is promised, but {_file(name).name} is not there"


@pytest.mark.parametrize("name", sorted(_operations()))
def test_an_operation_has_its_file(name: str) -> None:
    assert _file(name).is_file(), f"${name} is promised, but {_file(name).name} is not there"


@pytest.mark.parametrize("flag", FLAGS)
def test_what_is_conditional_has_its_file(flag: str) -> None:
    resource = statement("http://here/fhir", ROUTES, Guides())["rest"][0]["resource"][0]
    name = f"conditional-{flag.removeprefix('conditional').lower()}"
    if resource[flag] not in (False, "not-supported"):
        assert _file(name).is_file(), f"{flag} is promised, but {_file(name).name} is not there"
