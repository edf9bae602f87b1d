"""Behind a proxy, or several: who calls and by which address, as trusted ones say it.

https://www.rfc-editor.org/rfc/rfc7239. What is read of the headers is a table in
tests/unit/web/test_hops.py; here is what comes of it.
"""

from collections.abc import Iterator

import httpx
import pytest

from servers import Server, serving

_SAID = {
    "X-Forwarded-For": "198.51.100.7, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "ehr.example.vn",
}


@pytest.fixture(scope="module")
def behind(module_database: str) -> Iterator[Server]:
    """A server that believes what comes from this machine."""
    with serving(module_database, trusted_proxies="127.0.0.1", metrics_readers="203.0.113.0/28"
                 ) as server:  # fmt: skip
        yield server


def _base(server: Server, headers: dict[str, str]) -> str:
    found = httpx.get(f"{server.fhir}/Patient", headers=headers).json()
    return str(found["link"][0]["url"]).removesuffix("/Patient")


def test_links_lead_to_the_address_that_clients_see(behind: Server) -> None:
    assert _base(behind, _SAID) == "https://ehr.example.vn/fhir"
    assert _base(behind, {}) == behind.fhir
    assert "https://ehr.example.vn/fhir" in httpx.get(behind.url, headers=_SAID).text
    created = httpx.post(f"{behind.fhir}/Patient", headers=_SAID, json={"resourceType": "Patient"})
    assert created.headers["Location"].startswith("https://ehr.example.vn/fhir/Patient/")


@pytest.mark.parametrize("host", ["evil.example/fhir", 'x","y":"', "a b", "evil.example\\@here"])
def test_a_host_that_is_none_is_refused_whoever_says_it(behind: Server, host: str) -> None:
    answer = httpx.get(f"{behind.fhir}/Patient", headers={**_SAID, "X-Forwarded-Host": host})
    assert answer.status_code == 400


def test_forwarded_is_not_read_where_the_proxy_says_it_otherwise(behind: Server) -> None:
    """It hands on as it was what it does not know, so that the client may have written it."""
    forged = {**_SAID, "Forwarded": "for=127.0.0.1;host=evil.example;proto=http"}
    assert _base(behind, forged) == "https://ehr.example.vn/fhir"


def test_forwarded_is_read_where_the_setting_says_so(database: str) -> None:
    settings = {"trusted_proxies": "127.0.0.1", "forwarded_header": "forwarded"}
    with serving(database, **settings) as server:
        said = {"Forwarded": 'for="[2001:db8::7]";host=ehr.example.vn;proto=https'}
        assert _base(server, {**_SAID, **said}) == "https://ehr.example.vn/fhir"
        assert _base(server, _SAID) == server.fhir
        assert httpx.get(f"{server.url}/metrics", headers=said).status_code == 403


def test_metrics_are_for_this_machine_and_those_who_are_named(behind: Server) -> None:
    def status(client: str) -> int:
        headers = {"X-Forwarded-For": client}
        return httpx.get(f"{behind.url}/metrics", headers=headers).status_code

    assert httpx.get(f"{behind.url}/metrics").status_code == 200
    assert status("203.0.113.9") == 200
    assert status("203.0.113.77") == 403
    assert status("127.0.0.1, 203.0.113.77") == 403  # forged by the client
    assert status("10.0.0.1") == 403


def test_the_home_page_tells_others_nothing_of_what_is_stored(behind: Server) -> None:
    page = httpx.get(behind.url, headers={"X-Forwarded-For": "203.0.113.77"}).text
    for told in ("Resources", "MB", "up to date", "/metrics"):
        assert told in httpx.get(behind.url).text
        assert told not in page
    assert "/fhir/metadata" in page


def test_nobody_is_believed_unless_named(server: Server) -> None:
    """Not even this machine, where a proxy may hand on what it was sent."""
    forged = {**_SAID, "Forwarded": "for=198.51.100.7;host=evil.example;proto=https"}
    assert _base(server, forged) == server.fhir
    answer = httpx.get(f"{server.fhir}/metadata", headers=forged)
    assert "Strict-Transport-Security" not in answer.headers
