"""The process between the server and PostgreSQL: it starts, watches, restarts and stops it.

Run by the server as a script of its own, from the standard library alone, so that it is small and
starts in 30 ms. It makes sure that PostgreSQL runs exactly as long as the server does:

- its standard input is a pipe that only the server holds: closed, for whatever reason, it stops
  PostgreSQL and ends. The server's process id is looked at too, in case a child of the server
  holds a copy of the pipe;
- when PostgreSQL dies, it is started again and recovers from its log;
- when this process itself is killed, the kernel tells PostgreSQL to stop (PR_SET_PDEATHSIG), and
  the server starts another supervisor, which first waits for the old PostgreSQL to be gone;
- a lock on a file keeps two of them from one cluster.

It prints `ready` once, when PostgreSQL takes connections for the first time, or `failed`.
"""

import argparse
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_LOCK_S = 90  # to wait for the supervisor of a server that was killed: it is stopping PostgreSQL
_LEFT_S = 60  # to wait for a PostgreSQL whose supervisor was killed
_STOP_S = 60  # for a shutdown with a checkpoint, before a shutdown without
_LOG_BYTES_MAX = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


class Wake:
    """Waits for the server to go, for a signal to stop, or for a child to end."""

    def __init__(self) -> None:
        self._server = os.getppid()
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._is_over = False

    def wait(self, seconds: float) -> bool:
        """Sleep until something happens; whether it is time to stop."""
        ready, _, _ = select.select([0, self._read], [], [], seconds)
        signals = os.read(self._read, 4096) if self._read in ready else b""
        self._is_over |= (
            (0 in ready and not os.read(0, 4096))
            or bool({signal.SIGTERM, signal.SIGINT} & set(signals))
            or os.getppid() != self._server
        )
        return self._is_over


def main() -> int:
    """Supervise until it is time to stop. The exit status is 0, or 1 if it never started."""
    options = _options()
    wake = Wake()
    os.umask(0o077)
    lock = options.folder.joinpath("postgres.lock").open("a")
    if not _until(wake, _LOCK_S, lambda: _is_locked(lock.fileno())):
        return _failed("another server process is still stopping PostgreSQL")
    was_ready, pause_s = False, 0.1
    while not wake.wait(0):
        _end_left_ones(wake, options)
        postgres = _start(options)
        if _is_up(wake, options, postgres):
            if not was_ready:
                print("ready", flush=True)
            was_ready, pause_s = True, 0.1
            while postgres.poll() is None and not wake.wait(1.0):
                pass
        elif not was_ready and not wake.wait(0):
            return _failed("PostgreSQL did not start")
        if wake.wait(0):
            _stop(postgres)
        else:
            wake.wait(pause_s)
            pause_s = min(2 * pause_s, 5.0)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--cluster", required=True, type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--uid", required=True, type=int)
    parser.add_argument("--gid", required=True, type=int)
    return parser.parse_args()


def _failed(text: str) -> int:
    print("failed " + text, flush=True)
    return 1


def _until(wake: Wake, seconds: float | None, is_reached: Callable[[], bool]) -> bool:
    """Look every 10 ms whether it is reached; False when time is over or it is time to stop."""
    end = None if seconds is None else time.monotonic() + seconds
    while not is_reached():
        if wake.wait(0.01) or (end is not None and time.monotonic() > end):
            return False
    return True


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    path = options.folder / "log"
    if path.stat().st_size > _LOG_BYTES_MAX:
        path.replace(path.with_name("log.1"))
    is_other = options.uid != os.geteuid()
    with path.open("ab") as log:
        return subprocess.Popen(
            [options.program, "-D", options.cluster, "-c", _config_file(options)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            preexec_fn=_end_with_parent(),
            user=options.uid if is_other else None,
            group=options.gid if is_other else None,
            extra_groups=[] if is_other else None,
        )


def _config_file(options: argparse.Namespace) -> str:
    return f"config_file={options.folder / 'postgresql.conf'}"


def _end_with_parent() -> Callable[[], None] | None:
    """What a child calls to be sent SIGINT, a fast shutdown, when this process is killed."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _is_up(wake: Wake, options: argparse.Namespace, postgres: subprocess.Popen[bytes]) -> bool:
    """Wait until it takes connections, however long it recovers; False when it died or is to."""
    over = _until(wake, None, lambda: postgres.poll() is not None or _is_ready(options, postgres))
    return over and postgres.returncode is None


def _is_ready(options: argparse.Namespace, postgres: subprocess.Popen[bytes]) -> bool:
    """Whether it takes connections: line 1 of postmaster.pid is the process, line 8 the state."""
    try:
        lines = options.cluster.joinpath("postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(postgres.pid) and lines[7].strip() == "ready"


def _stop(postgres: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGINT, _STOP_S), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        if postgres.poll() is None:
            postgres.send_signal(number)
            try:
                postgres.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


def _end_left_ones(wake: Wake, options: argparse.Namespace) -> None:
    """Wait for, then end, processes that a killed postmaster or supervisor left behind.

    Without a postmaster its children are of no use, but hinder the next start while they run. A
    postmaster without a supervisor is about to stop. A pid file that is left over may name a
    process that is somebody else's by now, which PostgreSQL would take for a postmaster.
    """
    if not Path("/proc/self/cmdline").exists():
        return
    is_main, left = _left(options)
    if is_main:
        _until(wake, _LEFT_S, lambda: not _left(options)[1])
        _, left = _left(options)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if _until(wake, 10, lambda: not _left(options)[1]):
        options.cluster.joinpath("postmaster.pid").unlink(missing_ok=True)


def _left(options: argparse.Namespace) -> tuple[bool, list[int]]:
    """The processes of this cluster, and whether a postmaster is among them.

    Told by their command lines: what else /proc says is closed to root in many containers.
    """
    is_main, left = False, []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = folder.joinpath("cmdline").read_bytes()
            if folder.stat().st_uid != options.uid:
                continue
            if os.fsencode(_config_file(options)) in command.split(b"\0"):
                is_main = True
            elif not command.startswith(f"postgres: {options.name}: ".encode()):
                continue
            left.append(int(folder.name))
    return is_main, left


if __name__ == "__main__":
    sys.exit(main())
