"""Nothing acknowledged is lost, doubled or there in part, whatever is killed, over a bad link.

Eight writers push transactions, single resources, changes of one resource and batches, each under
a key, until they are answered; meanwhile the server, one of its processes, and PostgreSQL are
killed with SIGKILL.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bad_link import BadLink, bad_link
from pushing import Push, Writer, receipt_state, stored, whole
from servers import Server, serving

WRITERS = 8
_BACK_S = 60


class Site:
    """A server with two processes on a folder, started again when it is killed."""

    def __init__(self, folder: Path) -> None:
        self._options = ("--data-dir", str(folder / "data"), "--workers", "2")
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        self.server: Server = self._open.enter_context(
            serving(None, *self._options, pool_size="4", disk_free_mb_min="0")
        )

    def close(self) -> None:
        self._open.close()

    def kill_server(self, link: BadLink) -> None:
        self.server.process.kill()
        self.server.process.wait()
        self.start()
        link.to = self.server.url

    def kill_process(self, _: BadLink) -> None:
        processes = [pid for pid, command in self._below() if "spawn_main" in " ".join(command)]
        os.kill(processes[0], signal.SIGKILL)

    def kill_postgresql(self, _: BadLink) -> None:
        for pid, command in self._below():
            if command and command[0].endswith("/postgres") and "-D" in command:
                os.kill(pid, signal.SIGKILL)
                return
        raise AssertionError("no postmaster below the server")

    def _below(self) -> list[tuple[int, list[str]]]:
        """The processes below the server with their command lines; those that just end are none."""
        found = []
        for one in psutil.Process(self.server.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found.append((one.pid, one.cmdline()))
        return found


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    started = Site(folder)
    try:
        yield started
    finally:
        started.close()


@pytest.mark.parametrize(
    "kills", [1, pytest.param(20, marks=pytest.mark.slow)], ids=["once", "20 times"]
)
def test_nothing_is_lost_doubled_or_there_in_part(site: Site, kills: int) -> None:
    with bad_link(site.server.url, seed=kills, wait_s=0.1) as link:
        writers = [Writer(link.url, number) for number in range(WRITERS)]
        for _ in range(kills):
            for kill in (site.kill_server, site.kill_process, site.kill_postgresql):
                _go_on(writers)
                kill(link)
        _go_on(writers)
        for writer in writers:
            writer.end()
        assert all(link.met[fate] for fate in ("unheard", "half sent", "left", "half heard"))
    with httpx.Client(base_url=site.server.fhir, timeout=60) as client:
        pushes = [push for writer in writers for push in writer.pushes]
        for push in pushes:
            _is_true(client, push)
        versions = sum(_chain_is_whole(client, writer) for writer in writers)
        _history_is_complete(client, versions)
    assert sum(push.attempts > 1 for push in pushes) > 3 * kills
    assert sum(not push.is_acknowledged for push in pushes) > 0


def _go_on(writers: list[Writer]) -> None:
    """Until several of the writers were answered anew: all is well again."""
    before = _answered(writers)
    end = time.monotonic() + _BACK_S
    while _answered(writers) < before + 4 * WRITERS:
        assert time.monotonic() < end, "it did not come back by itself"
        for writer in writers:
            if writer.error is not None:
                raise writer.error
        time.sleep(0.05)


def _answered(writers: list[Writer]) -> int:
    return sum(
        push.is_acknowledged for writer in writers for push in (*writer.pushes, *writer.chain)
    )


def _is_true(client: httpx.Client, push: Push) -> None:
    """What was acknowledged is there once; of what is unknown the receipt tells the truth."""
    there, state = stored(client, push), receipt_state(_receipt(client, push))
    if push.is_acknowledged or push.was_told_stored or state == "stored":
        assert state == "stored", push.key
        if push.kind != "batch" or push.is_acknowledged:
            assert there == whole(push), f"{push.key}: {there}"
    elif push.kind == "batch":  # its entries are transactions of their own
        assert set(there) <= {0, 1}, f"{push.key}: {there}"
        assert (state is None) == (set(there) == {0}), f"{push.key}: {there}, {state}"
    else:
        assert state is None, push.key
        assert set(there) == {0}, f"{push.key} is there in part: {there}"


def _receipt(client: httpx.Client, push: Push) -> httpx.Response:
    return client.get("/$receipt", params={"key": push.key})


def _chain_is_whole(client: httpx.Client, writer: Writer) -> int:
    """Versions 1 to n without a gap, each with the content of its step; how many they are."""
    done = sum(push.is_acknowledged for push in writer.chain)
    found = _all(client, f"/Basic/{writer.chain_id}/_history?_count=1000")
    numbers = [int(entry["resource"]["meta"]["versionId"]) for entry in found]
    assert numbers == list(range(len(found), 0, -1))
    assert len(found) in (done, done + 1)  # the last may be unknown
    steps = [entry["resource"]["identifier"][0]["value"] for entry in found]
    assert steps == [f"step {number}" for number in numbers]
    return len(found)


def _history_is_complete(client: httpx.Client, of_chains: int) -> None:
    """https://hl7.org/fhir/R4/http.html#history: of a type, every version of every resource."""
    found = [
        (entry["resource"]["id"], entry["resource"]["meta"]["versionId"])
        for entry in _all(client, "/Basic/_history?_count=1000")
    ]
    assert len(set(found)) == len(found)
    notes = client.get("/Basic?_summary=count").json()["total"]
    assert len(found) == notes - WRITERS + of_chains


def _all(client: httpx.Client, address: str | None) -> list[dict[str, Any]]:
    """The entries of all pages."""
    entries: list[dict[str, Any]] = []
    while address:
        page = client.get(address).json()
        entries += page.get("entry", [])
        address = next((one["url"] for one in page["link"] if one["relation"] == "next"), None)
    return entries
