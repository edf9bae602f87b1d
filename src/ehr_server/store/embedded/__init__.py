"""PostgreSQL from a wheel, run by the server itself: the default when no database is given.

    with embedded(Path("data")) as url:
        psycopg.connect(url)

Durable (fsync, checksums), closed to other users of the machine (a socket in a folder with 0700,
`peer`; no TCP), stopped with the server however that ends, started again when it dies. What the
parts do: `owner` (as whom), `place` and `programs`
(where), `cluster` (initdb, configuration), `supervisor` (a process
that watches). docs/decisions/0002 has the reasons.
"""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

from ehr_server.store.embedded import supervisor
from ehr_server.store.embedded.cluster import make_cluster, write_configuration
from ehr_server.store.embedded.owner import EmbeddedError
from ehr_server.store.embedded.place import Place, find_place

__all__ = ["EmbeddedError", "embedded", "running"]

_STOP_S = 100  # longer than the supervisor takes at most
_LOCK_S = 0.5  # for a server that was killed to be gone, or a look by `running` to be over

log = logging.getLogger(__name__)


@contextmanager
def embedded(data_dir: Path) -> Iterator[str]:
    """Run PostgreSQL on `data_dir` (made if need be) for as long as the block; yields its URL.

    Raises EmbeddedError when it cannot run, such as when another server uses the folder.
    """
    data_dir = data_dir.resolve()
    try:
        if not data_dir.exists():
            data_dir.mkdir(parents=True)
            data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        lock = _locked(data_dir)
    except OSError as error:
        raise EmbeddedError(
            f"The data folder cannot be used: {error}. Give a --data-dir that can be written."
        ) from error
    with os.fdopen(lock, "r+") as file:
        place = find_place(data_dir)
        make_cluster(place)
        write_configuration(place)
        for name, mode in (("log", 0o600), ("postgres.lock", 0o600), ("own.conf", 0o644)):
            place.touch(name, mode)
        supervision = _Supervision(place)
        try:
            url = f"postgresql://ehr@/ehr?host={quote(str(place.socket), safe='')}"
            file.write(f"{url}\n")
            file.flush()
            yield url
        finally:
            supervision.stop()


def running(data_dir: Path) -> str | None:
    """The URL of the PostgreSQL that a server runs on `data_dir` now, for a second command."""
    try:
        with data_dir.joinpath("server.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                lines = file.read().splitlines()
                return lines[1] if len(lines) > 1 else None
    except FileNotFoundError:
        pass
    return None


class _Supervision:
    """The supervisor process: started, started again when it is killed, stopped."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._is_stopping = threading.Event()
        self._process = self._started()
        self._watch = threading.Thread(target=self._restart, daemon=True, name="embedded")
        self._watch.start()

    def stop(self) -> None:
        """Close the pipe, by which the supervisor knows that it is time, and wait for it."""
        self._is_stopping.set()
        self._close()
        self._watch.join(_STOP_S)

    def _close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()

    def _restart(self) -> None:
        while True:
            self._process.wait()
            if self._is_stopping.is_set():
                return
            log.warning("the supervisor of PostgreSQL is gone, starting another")
            self._close()
            try:
                self._process = self._started()
                if self._is_stopping.is_set():
                    self._close()
            except EmbeddedError as error:
                log.error("PostgreSQL cannot be started again: %s", error)
                if self._is_stopping.wait(5.0):
                    return

    def _started(self) -> subprocess.Popen[str]:
        place = self._place
        log_file = place.folder / "log"
        log_start = log_file.stat().st_size
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", supervisor.__file__),
                *("--program", place.programs / "postgres", "--folder", place.folder),
                *("--cluster", place.cluster, "--name", place.name),
                *("--uid", str(place.owner.uid), "--gid", str(place.owner.gid)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the server, which then stops this in order
        )
        with process.stdout or nullcontext() as output:
            answer = output.readline().strip() if output else ""
        if answer != "ready":
            process.communicate()
            with log_file.open("rb") as file:
                file.seek(log_start)
                tail = file.read().decode(errors="replace").strip().splitlines()[-5:]
            raise EmbeddedError(
                "\n  ".join([answer or "The supervisor of PostgreSQL failed", *tail])
            )
        return process


def _locked(data_dir: Path) -> int:
    """The file that holds the folder for this process, open and locked."""
    file = os.open(data_dir / "server.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    end = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(0.02)
                continue
        pid = os.read(file, 100).split(b"\n")[0].decode()
        os.close(file)
        raise EmbeddedError(
            f"{data_dir} is in use by another server (process {pid}). Stop that one, or give this "
            "one another --data-dir."
        )
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
    return file
