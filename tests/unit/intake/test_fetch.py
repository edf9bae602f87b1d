"""What another server may answer, and what becomes of it."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ehr_server.errors import Unavailable, Unprocessable
from ehr_server.fhir import json
from ehr_server.intake.fetch import fetched
from ehr_server.intake.sources import Source
from ehr_server.settings import Settings

Answers = dict[str, tuple[dict[str, str], bytes]]


@pytest.fixture
def other() -> Iterator[tuple[str, Answers]]:
    """The origin of a server, and its answers by path: more headers, and the body."""
    answers: Answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            more, body = answers[self.path]
            self.send_response(200)
            for name, value in ({"Content-Length": str(len(body))} | more).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", answers
    server.shutdown()
    server.server_close()


def _fetched(origin: str, folder: Path, *paths: str, is_manifest: bool = False) -> list[Source]:
    asked = [{"url": f"{origin}{path}", "is_manifest": is_manifest} for path in paths]
    return fetched(asked, folder, Settings(import_origins=origin), lambda: None)


def test_what_is_cut_short_is_not_taken_for_whole(
    other: tuple[str, Answers], tmp_path: Path
) -> None:
    """RFC 9112 8: a message is incomplete that is shorter than its Content-Length."""
    origin, answers = other
    answers["/a"] = {"Content-Length": "20"}, b"{}\n"
    with pytest.raises(Unavailable):
        _fetched(origin, tmp_path, "/a")
    answers["/a"] = {}, b"{}\n{}\n"
    (found,) = _fetched(origin, tmp_path, "/a")
    assert found.path.read_bytes() == b"{}\n{}\n"


def test_a_manifest_is_read_and_its_files_are_fetched(
    other: tuple[str, Answers], tmp_path: Path
) -> None:
    """Asked for without a coding: it is read here, not put aside as a file is."""
    origin, answers = other
    answers["/m"] = {}, json.write({"output": [{"url": f"{origin}/a"}], "error": []})
    answers["/a"] = {"Content-Encoding": "gzip"}, gzip.compress(b"{}\n")
    (found,) = _fetched(origin, tmp_path, "/m", is_manifest=True)
    assert found.path.name.endswith(".gz")


def test_a_page_of_a_manifest_is_not_taken_for_the_whole(
    other: tuple[str, Answers], tmp_path: Path
) -> None:
    origin, answers = other
    link = [{"relation": "next", "url": f"{origin}/m2"}]
    answers["/m"] = {}, json.write({"output": [], "error": [], "link": link})
    with pytest.raises(Unprocessable, match="pages"):
        _fetched(origin, tmp_path, "/m", is_manifest=True)


@pytest.mark.parametrize("path", ["/a b", "/bệnh", "/a\r\nX: y"])
def test_what_is_no_address_is_refused(
    other: tuple[str, Answers], tmp_path: Path, path: str
) -> None:
    with pytest.raises(Unprocessable):
        _fetched(other[0], tmp_path, path)
