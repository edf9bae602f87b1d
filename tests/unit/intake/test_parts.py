"""Files cut into parts: every line once, with its number, whatever the sizes."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ehr_server.intake import parts
from ehr_server.intake.lines import Item, items
from ehr_server.intake.parts import cut
from ehr_server.intake.sources import Source, source

MOST = 1 << 20


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 64)
    monkeypatch.setattr(parts, "_BLOCK_BYTES", 48)


def _read(sources: Sequence[Source], most: int = MOST) -> list[Item]:
    found = list(cut(sources, most))
    assert [part.number for part in found] == list(range(len(found)))
    return [item for part in found for item in items(part, sources, most)]


_LINES = st.lists(st.binary(max_size=90).map(lambda text: text.replace(b"\n", b"")), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(lines=_LINES, ends=st.booleans(), packed=st.booleans())
def test_every_line_once(
    small_parts: None, tmp_path: Path, lines: list[bytes], ends: bool, packed: bool
) -> None:
    """Plain and compressed, with a line break at the end or without."""
    text = b"\n".join(lines) + (b"\n" if ends else b"")
    path = tmp_path / ("a.ndjson.gz" if packed else "a.ndjson")
    path.write_bytes(gzip.compress(text) if packed else text)
    wanted = [
        (number, line.strip().removeprefix(b"\xef\xbb\xbf"))
        for number, line in enumerate(text.split(b"\n"), 1)
    ]
    found = [(item.line, item.data) for item in _read([source(path)])]
    assert found == [(number, line) for number, line in wanted if line]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_over_the_limit_stands_alone(
    small_parts: None, tmp_path: Path, packed: bool
) -> None:
    text = b"\n".join([b"a" * 90, b"b" * 101, b"c" * 1000, b"d", b"e" * 100])
    path = tmp_path / ("a.ndjson.gz" if packed else "a.ndjson")
    path.write_bytes(gzip.compress(text) if packed else text)
    found = _read([source(path)], 100)
    assert [(item.line, item.fault is None) for item in found] == [
        (1, True),
        (2, False),
        (3, False),
        (4, True),
        (5, True),
    ]
    assert found[4].data == b"e" * 100


def test_small_files_share_a_part(tmp_path: Path) -> None:
    several = []
    for number in range(20):
        path = tmp_path / f"{number:02}.json"
        path.write_bytes(b'{"n": %d}' % number)
        several.append(source(path))
    (part,) = cut(several, MOST)
    assert [item.file for item in items(part, several, MOST)] == list(range(20))


def test_a_file_that_is_gone_is_a_fault_of_its_own(tmp_path: Path) -> None:
    here, gone = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    for path in (here, gone):
        path.write_bytes(b"1\n2\n")
    sources = [source(gone), source(here)]
    gone.unlink()
    faults = [(item.file, item.fault is not None) for item in _read(sources)]
    assert faults == [(0, True), (1, False), (1, False)]


def test_a_file_that_got_shorter_is_told_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"1\n2\n3\n")
    found = list(cut([source(path)], MOST))
    path.write_bytes(b"1\n2\n")
    read = [item for part in found for item in items(part, [source(path)], MOST)]
    assert [(item.line, item.fault is not None) for item in read] == [
        (1, False),
        (2, False),
        (3, True),
    ]


def test_a_bomb_takes_no_more_than_a_line(tmp_path: Path) -> None:
    """Half a gigabyte of one line in half a megabyte."""
    path = tmp_path / "a.ndjson.gz"
    with gzip.open(path, "wb") as file:
        file.write(b'"a"\n')
        for _ in range(512):
            file.write(b"x" * (1 << 20))
        file.write(b'\n"b"')
    read = _read([source(path)])
    assert [(item.line, item.data) for item in read if item.fault is None] == [
        (1, b'"a"'),
        (3, b'"b"'),
    ]
    assert [item.line for item in read if item.fault is not None] == [2]
