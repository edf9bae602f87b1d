"""Logging: one line per event, as `name=value` pairs (logfmt), on standard error.

    time=2026-11-22T08:15:30.123Z level=error logger=… event="GET Patient failed" request=01j…

Lines name ids and counts, never a person's data. Facts are given as `extra={"facts": {...}}`, and
a logged exception shows its type and where it was raised but not its text, because the text of a
database error may quote a value.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request in whose thread or task this runs; empty outside of requests."""

_QUIET = ("alembic", "httpx", "uvicorn")  # nothing below a warning is news from these


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send every logger of this process to `stream` (standard error), from `level` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Logfmt())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Python would print the text of the exception."""
    name = failed.thread.name if failed.thread else ""
    told = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    logging.getLogger(__name__).error("the thread %s failed", name, exc_info=told)


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
        }
        if request := request_id.get():
            pairs["request"] = request
        pairs |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1] is not None:
            pairs |= _facts_of(record.exc_info[1])
        return " ".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def _event(record: logging.LogRecord) -> str:
    """What happened. asyncio adds the text of an exception, line by line, to what it says."""
    text = record.getMessage()
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _facts_of(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    facts: dict[str, object] = {
        "error": type(error).__name__,
        "at": " < ".join(f"{_short(f.filename)}:{f.lineno}:{f.name}" for f in reversed(frames)),
    }
    if state := getattr(error, "sqlstate", None):
        facts["sqlstate"] = state
    if error.__cause__ is not None:
        facts["cause"] = type(error.__cause__).__name__
    return facts


def _short(filename: str) -> str:
    return "/".join(filename.rsplit("/", 2)[-2:])


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(sign in text for sign in ' ="'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
