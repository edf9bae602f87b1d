"""The benchmark of bulk data on a few resources: what is moved, what is told."""

import os
from pathlib import Path

import pytest

from bulk.figures import Goal, Moved
from bulk.measure import measure
from bulk.memory import Peak
from bulk.record import write_files
from bulk.report import goals, page, section
from ehr_server.fhir import json


def test_a_row_divides_by_the_resources() -> None:
    row = Moved("out", 1_000, 2_000_000, 2.0, 0.5, 0.25, 300_000_000).row()
    assert row == ("out", "500", "1", "2.0", "500.0", "250.0", "300")


def test_a_goal_is_at_least_or_at_most() -> None:
    assert Goal("rate", 10, 10, "resources/s").is_met
    assert not Goal("rate", 10, 9, "resources/s").is_met
    assert Goal("memory", 400, 399, "MB", is_most=True).is_met
    assert "not met" in Goal("memory", 400, 401, "MB", is_most=True).row()[3]


def test_the_most_memory_is_seen() -> None:
    with Peak(os.getpid()) as before:
        pass
    with Peak(os.getpid()) as peak:
        held = bytearray(os.urandom(1 << 20)) * 64
    assert peak.bytes > 10 << 20
    assert len(held) == 64 << 20
    assert before.bytes > 10 << 20


def test_files_hold_all_that_they_refer_to(tmp_path: Path) -> None:
    count, size = write_files(100, tmp_path)
    lines = [
        line for path in tmp_path.glob("*.ndjson") for line in path.read_bytes().splitlines(True)
    ]
    assert (len(lines), sum(map(len, lines))) == (count, size)
    resources = [json.read(line) for line in lines]
    there = {f"{one['resourceType']}/{one['id']}" for one in resources}
    named = {one["subject"]["reference"] for one in resources if "subject" in one}
    assert named
    assert named <= there


@pytest.mark.slow
def test_everything_is_measured_on_little() -> None:
    measured = measure(2_000, None)
    assert len(measured.rows) == 8
    assert len({row.resources for row in measured.rows[:6]}) == 1
    assert all(row.postgresql_s >= 0 and row.wall_s > 0 for row in measured.rows)
    text = page(section(measured), "Machine: one.")
    assert text.count("\n| ") == len(measured.rows) + len(goals(measured)) + 4
