"""Lines of the log: pairs that a program can read, ids and never values."""

import asyncio
import gc
import io
import logging
import threading
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
    threading.excepthook = threading.__excepthook__
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


def test_a_thread_that_fails_is_told_so_too(lines: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError("001174000456")

    thread = threading.Thread(target=fail, name="deed")
    thread.start()
    thread.join()
    (line,) = lines.getvalue().splitlines()
    assert 'event="the thread deed failed"' in line
    assert "error=ValueError" in line
    assert "001174" not in line


def test_what_asyncio_adds_of_an_exception_is_left_out(lines: io.StringIO) -> None:
    async def fail() -> None:
        raise ValueError("001174000456")

    async def forgotten() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(forgotten())
    assert "never retrieved" in lines.getvalue()
    assert "001174" not in lines.getvalue()


def test_line_breaks_cannot_forge_a_line(lines: io.StringIO) -> None:
    logging.getLogger("ehr").warning("a\nlevel=error\x00")
    assert lines.getvalue().count("\n") == 1
    assert "\\u000alevel" in lines.getvalue()
