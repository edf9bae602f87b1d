"""What stands beside the FHIR base: health, documentation, the home page, several processes."""

import httpx
import pytest

from api.patients import resident
from servers import Server, serving


@pytest.mark.smoke
def test_health(server: Server) -> None:
    assert httpx.get(f"{server.url}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{server.url}/health/ready").json() == {"status": "ready"}


def test_documentation_lists_the_fhir_addresses(server: Server) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert {"get", "put", "delete"} <= paths["/fhir/{type}/{id}"].keys()
    assert httpx.get(f"{server.url}/docs").status_code == 200
    assert "ehr-server" in httpx.get(server.url).text


@pytest.mark.smoke
@pytest.mark.parametrize("address", ["/fhir/metadata", "/fhir/metadata/", "//fhir/metadata"])
def test_no_redirects(server: Server, address: str) -> None:
    assert not httpx.get(f"{server.url}{address}").is_redirect


@pytest.mark.smoke
def test_the_base_with_and_without_a_slash(server: Server) -> None:
    bundle = {"resourceType": "Bundle", "type": "batch"}
    for base in (server.fhir, f"{server.fhir}/"):
        assert httpx.post(base, json=bundle).status_code == 200


def test_several_processes_serve_one_address(database: str) -> None:
    with (
        serving(database, "--workers", "2") as server,
        httpx.Client(base_url=server.fhir) as client,
    ):
        id_ = client.post("/Patient", json=resident()).json()["id"]
        for _ in range(20):
            assert httpx.get(f"{server.fhir}/Patient/{id_}").status_code == 200
