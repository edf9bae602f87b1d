"""The guide on consent: every command is stored as it stands."""

from pathlib import Path

import httpx

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_every_consent_of_the_guide_is_stored(server: Server, tmp_path: Path) -> None:
    assert set(printed("consent.md", server, tmp_path)) <= {"200", "201"}
    with httpx.Client(base_url=server.fhir) as client:
        found = client.get("/Consent?patient=ngop").json()["entry"]
    assert {one["resource"]["id"] for one in found} == {"mine", "hiv", "research"}
