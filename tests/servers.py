"""Real server processes for tests: started as a user would, stopped, or killed."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

_START_S = 60
# With EHR_TEST_ENCRYPTION_KEY the records that tests make are encrypted.
ENCRYPTION_KEY = os.environ.get("EHR_TEST_ENCRYPTION_KEY")
ENCRYPTED = {"encryption_key": ENCRYPTION_KEY} if ENCRYPTION_KEY else {}


@dataclass(frozen=True)
class Server:
    """A server that takes requests: its address without a path, its process, its database, what
    it writes to standard error."""

    url: str
    process: subprocess.Popen[str]
    database_url: str | None
    log: IO[str]

    def logged(self) -> str:
        """What stands in the log by now."""
        self.log.seek(0)
        return self.log.read()

    @property
    def fhir(self) -> str:
        """The FHIR base."""
        return f"{self.url}/fhir"


def client_of(server: Server) -> httpx.Client:
    """A client whose addresses are relative to the FHIR base; close it."""
    return httpx.Client(base_url=server.fhir, timeout=30)


@contextmanager
def serving(database_url: str | None, *options: str, **settings: str) -> Iterator[Server]:
    """`ehr-server serve` on a free port for as long as the block.

    `settings` are environment variables without their prefix: `references="accept"`. Without a
    database URL the options should name a `--data-dir`; else files go to a folder that is removed.
    """
    command = [sys.executable, "-m", "ehr_server", "serve", "--port=0", *options]
    if database_url:
        command.append(f"--database-url={database_url}")
    variables = {"EHR_WORKERS": "1", "EHR_DUPLICATES": "off"} | {
        f"EHR_{k.upper()}": v for k, v in (ENCRYPTED | settings).items()
    }
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as data_dir:
        variables = {"EHR_DATA_DIR": data_dir} | variables
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | variables
        )
        try:
            url = _ready(process)
            if url is None:
                log.seek(0)
                raise AssertionError(f"the server did not start:\n{log.read()[-4000:]}")
            yield Server(url, process, database_url, log)
        finally:
            _stop(process)


@contextmanager
def working(database_url: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """`ehr-server worker` for as long as the block; it may be killed within."""
    command = [sys.executable, "-m", "ehr_server", "worker", f"--database-url={database_url}"]
    variables = {"EHR_DUPLICATES": "off"} | {
        f"EHR_{k.upper()}": v for k, v in (ENCRYPTED | settings).items()
    }
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | variables,
    )
    try:
        if _ready(process) is None:
            raise AssertionError("the worker did not start")
        yield process
    finally:
        _stop(process)


def processes_of(folder: Path) -> list[int]:
    """The processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _ready(process: subprocess.Popen[str]) -> str | None:
    alarm = threading.Timer(_START_S, process.kill)
    alarm.start()
    try:
        for line in process.stdout or ():
            if line.startswith("ready"):
                return line.removeprefix("ready").strip().rstrip("/")
    finally:
        alarm.cancel()
    return None


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout:
            process.stdout.close()
