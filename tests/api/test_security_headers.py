"""What answers tell browsers and caches: https://owasp.org/www-project-secure-headers/."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from api.patients import resident
from servers import Server

_EVERYWHERE = ("/", "/docs", "/openapi.json", "/metrics", "/health/live", "/nowhere",
               "/fhir", "/fhir/metadata", "/fhir/Patient", "/fhir/Patient/nobody",
               "/fhir/Patient?nonsense=1", "/fhir/$export-status/none")  # fmt: skip


@pytest.mark.parametrize("path", _EVERYWHERE)
def test_every_answer_says_what_may_not_be_done_with_it(server: Server, path: str) -> None:
    headers = httpx.get(f"{server.url}{path}").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "Strict-Transport-Security" not in headers  # RFC 6797, 7.2: not over plain HTTP
    for name in headers:
        assert len(headers.get_list(name)) == 1, name


def test_what_tells_of_a_person_is_kept_by_nobody_on_the_way(client: httpx.Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5"""
    created = client.post("/Patient", json=resident())
    address = f"/Patient/{created.json()['id']}"
    again = client.get(address, headers={"If-None-Match": created.headers["ETag"]})
    assert again.status_code == 304  # a client that holds the version itself still asks so
    answers = [
        created,
        again,
        client.get(address),
        client.get(f"{address}/_history"),
        client.get("/Patient"),
        client.get("/Patient/nobody"),
        client.delete(address),
        client.get(address),
    ]
    assert [answer.status_code for answer in answers] == [201, 304, 200, 200, 200, 404, 204, 410]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert "Cache-Control" not in client.get("/metadata").headers  # which tells of nobody


def test_content_that_was_stored_does_not_act_as_a_page_of_the_server(
    client: httpx.Client,
) -> None:
    page = b"<script>fetch('/fhir/Patient')</script>"
    created = client.post("/Binary", content=page, headers={"Content-Type": "text/html"})
    shown = client.get(created.headers["Location"], headers={"Accept": "text/html"})
    assert shown.content == page
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert shown.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_hold_no_script_and_load_nothing(server: Server, path: str, language: str) -> None:
    page = httpx.get(f"{server.url}{path}", headers={"Accept-Language": language})
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Cache-Control"] == "no-store"
    assert f'<html lang="{language}">' in page.text
    assert not re.search(
        r"(?i)<script|<link|<img|<iframe|@import|url\(|src=|\bon[a-z]+=", page.text
    )
    found = _Links()
    found.feed(page.text)
    assert all(link.startswith("/") for link in found.links)
    for link in found.links:
        assert httpx.get(f"{server.url}{link}").status_code == 200


def test_docs_list_every_address_and_method(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs").text
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    rows = [
        (m.upper(), p)
        for p, methods in paths.items()
        if p.startswith("/fhir") and ".well-known" not in p
        for m in methods
    ]
    assert len(rows) > 50
    for method, path in rows:
        shown = path.removeprefix("/fhir") or "/"
        assert f"<td>{method}</td><td><code>{shown}</code>" in page, (method, path)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name == "href" and value]
