"""A command of `ehr-server` beside a server, from its start to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.memory import Peak
from harness.processes import usage

if TYPE_CHECKING:
    from harness.server import Server


class Failed(Exception):
    """A command ended with another status than 0; the text is what it printed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """Seconds by the clock, of processor time of the command and of PostgreSQL, and the most
    memory that the command's processes held together."""

    wall_s: float
    own_s: float
    postgresql_s: float
    memory: int
    printed: str


def ran(server: Server, *arguments: str) -> Ran:
    """Run the command on the server's database. Raises `Failed`."""
    command = [sys.executable, "-m", "ehr_server", *arguments, f"--data-dir={server.data_dir}"]
    before, began = usage(server.pid).postgresql_s, os.times()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with Peak(process.pid) as peak:
        printed, _ = process.communicate()
    wall_s, ended = time.perf_counter() - start, os.times()
    if process.returncode:
        raise Failed(f"{arguments[0]}: {printed[-2000:]}")
    own_s = ended.children_user + ended.children_system
    own_s -= began.children_user + began.children_system
    postgresql_s = usage(server.pid).postgresql_s - before
    return Ran(wall_s, own_s, postgresql_s, peak.bytes, printed)
