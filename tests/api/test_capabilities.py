"""capabilities: https://hl7.org/fhir/R4/http.html#capabilities"""

from typing import Any

import httpx
import pytest

from servers import Server


@pytest.fixture(scope="module")
def statement(shared_server: Server) -> Any:
    return httpx.get(f"{shared_server.fhir}/metadata").json()


@pytest.mark.smoke
def test_the_statement_is_of_fhir_r4_and_of_a_server(statement: Any) -> None:
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["software"]["name"] == "ehr-server"
    assert [rest["mode"] for rest in statement["rest"]] == ["server"]


def test_all_types_of_r4_are_there(statement: Any) -> None:
    assert len(statement["rest"][0]["resource"]) == 146


def test_the_interactions_of_the_system(statement: Any) -> None:
    assert {row["code"] for row in statement["rest"][0]["interaction"]} == {
        "transaction",
        "batch",
        "history-system",
        "search-system",
    }


def test_a_type_tells_what_it_is_searched_by(statement: Any) -> None:
    patient = next(row for row in statement["rest"][0]["resource"] if row["type"] == "Patient")
    assert {row["name"] for row in patient["searchParam"]} >= {"identifier", "name", "birthdate"}


def test_a_mode_that_is_not_there_is_refused(shared_client: httpx.Client) -> None:
    assert shared_client.get("/metadata?mode=full").status_code == 200
    assert shared_client.get("/metadata?mode=normative").status_code == 400


def test_what_the_statement_does_not_list_is_not_there(shared_client: httpx.Client) -> None:
    assert shared_client.post("/Nothing/$validate").status_code == 404
