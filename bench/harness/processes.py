"""Processor time and memory of the server's processes and of PostgreSQL's, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time since they began, children that have ended included."""

    server_s: float
    postgresql_s: float

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.server_s - other.server_s, self.postgresql_s - other.postgresql_s)


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    name: str
    cpu_s: float


def usage(root: int) -> Usage:
    """What the process `root` and all below it have used; PostgreSQL's go by their name."""
    family = _family(root)
    postgresql_s = sum(process.cpu_s for process in family if process.name == "postgres")
    return Usage(sum(process.cpu_s for process in family) - postgresql_s, postgresql_s)


def peak_memory(root: int) -> list[int]:
    """The peak resident set of each process of the server in bytes, the largest first."""
    peaks = []
    for process in _family(root):
        if process.name == "postgres":
            continue
        for line in _read(process.pid, "status").splitlines():
            if line.startswith("VmHWM:"):
                peaks.append(int(line.split()[1]) * 1024)
    return sorted(peaks, reverse=True)


def proportional_memory(root: int) -> int:
    """The bytes that the process `root` and all below it hold now, what is shared divided among
    who shares it; PostgreSQL's processes are not counted."""
    kilobytes = 0
    for process in _family(root):
        if process.name == "postgres":
            continue
        for line in _read(process.pid, "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024


def _family(root: int) -> list[_Process]:
    found = [_process(int(path.name)) for path in _PROC.iterdir() if path.name.isdigit()]
    children: dict[int, list[_Process]] = {}
    for process in found:
        if process is not None:
            children.setdefault(process.parent, []).append(process)
    family = [process for process in found if process is not None and process.pid == root]
    for process in family:  # grows while it is walked
        family += children.get(process.pid, [])
    return family


def _process(pid: int) -> _Process | None:
    text = _read(pid, "stat")
    if not text:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    ticks = sum(int(field) for field in fields[11:15])  # own and waited-for, user and system
    return _Process(pid, int(fields[1]), name, ticks / _TICKS)


def _read(pid: int, file: str) -> str:
    try:
        return (_PROC / str(pid) / file).read_text()
    except OSError:  # it has ended
        return ""
