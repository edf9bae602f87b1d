"""Lines of the log: pairs that a program can read, ids and never values."""

import io
import logging
from collections.abc import Iterator

import pytest

from ehr_server.telemetry import configure, request_id


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("info", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_one_line_of_pairs(lines: io.StringIO) -> None:
    token = request_id.set("01jabc")
    logging.getLogger("ehr").info("bundle committed", extra={"facts": {"entries": 60, "by": 'a"b'}})
    request_id.reset(token)
    (line,) = lines.getvalue().splitlines()
    assert line.startswith("time=20")
    assert line.endswith(
        'level=info logger=ehr event="bundle committed" request=01jabc entries=60 by="a\\"b"'
    )


def test_an_exception_is_told_by_type_and_place_not_by_its_text(lines: io.StringIO) -> None:
    try:
        raise ValueError("Nguyễn Văn A")
    except ValueError:
        logging.getLogger("ehr").exception("failed")
    (line,) = lines.getvalue().splitlines()
    assert "error=ValueError" in line
    assert "unit/test_telemetry.py:" in line
    assert "Nguyễn" not in line


def test_line_breaks_cannot_forge_a_line(lines: io.StringIO) -> None:
    logging.getLogger("ehr").warning("a\nlevel=error\x00")
    assert lines.getvalue().count("\n") == 1
    assert "\\u000alevel" in lines.getvalue()
