"""The home page: for people who look at the server for the first time, or look after it."""

import re
from html.parser import HTMLParser

import httpx
import psycopg
import pytest

from servers import Server


def test_it_says_what_this_is_and_where(server: Server) -> None:
    page = httpx.get(f"{server.url}/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<html lang="en">' in page.text
    assert f"{server.fhir}" in page.text


@pytest.mark.parametrize(
    ("wish", "language"), [("vi-VN,vi;q=0.9,en;q=0.8", "vi"), ("en-GB", "en"), ("fr", "en")]
)
def test_it_speaks_english_and_vietnamese(server: Server, wish: str, language: str) -> None:
    page = httpx.get(f"{server.url}/", headers={"Accept-Language": wish})
    assert f'<html lang="{language}">' in page.text
    assert ("Cơ sở dữ liệu" in page.text) == (language == "vi")
    assert "$" not in re.sub(r"curl.*?</code>", "", page.text, flags=re.DOTALL)


def test_its_links_lead_somewhere(server: Server) -> None:
    links = _Links()
    links.feed(httpx.get(f"{server.url}/").text)
    assert {"/docs", "/fhir/metadata", "/health/ready", "/metrics"} <= set(links.found)
    for link in links.found:
        assert httpx.get(f"{server.url}{link}").status_code == 200, link


def test_nothing_is_loaded_from_elsewhere(server: Server) -> None:
    page = httpx.get(f"{server.url}/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert not re.search(r"""(src=|url\(|@import|<link)""", page.text)
    assert "prefers-color-scheme: dark" in page.text


def test_what_it_says_to_try_works(server: Server) -> None:
    """The three lines of curl, sent as they say."""
    page = httpx.get(f"{server.url}/").text
    assert f"curl {server.fhir}/metadata" in page
    assert httpx.get(f"{server.fhir}/metadata").status_code == 200
    body = re.search(r"-d &#x27;(\{.*?\})&#x27;", page.replace("&quot;", '"'))
    assert body is not None
    created = httpx.post(
        f"{server.fhir}/Patient",
        content=body[1].encode(),
        headers={"Content-Type": "application/fhir+json"},
    )
    assert created.status_code == 201
    found = httpx.get(f"{server.fhir}/Patient", params={"name": "lan"}).json()
    assert created.json()["id"] in [entry["resource"]["id"] for entry in found["entry"]]


def test_it_tells_how_the_database_is(server: Server, module_database: str) -> None:
    assert "up to date" in httpx.get(f"{server.url}/").text
    with psycopg.connect(module_database) as connection:
        connection.execute(
            "insert into job (id, kind, state, request, progress, attempts, made)"
            " values ('x', 'export', 'failed', '{}', '{}', 6, now())"
        )
        connection.execute("update migration set version_num = '0001'")
    try:
        page = httpx.get(f"{server.url}/").text
        assert "1 failed" in page
        assert "run ehr-server migrate" in page
    finally:
        with psycopg.connect(module_database) as connection:
            newest = "select max(version_num) from migration"
            assert connection.execute(newest).fetchone() == ("0001",)
            connection.execute("delete from job where id = 'x'")


def test_a_host_that_is_none_is_not_shown(server: Server) -> None:
    page = httpx.get(f"{server.url}/", headers={"Host": 'a"><b>'})
    assert "<b>" not in page.text


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
