"""The embedded PostgreSQL: durable, alone on its folder, and never left behind."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ehr_server.store.embedded import EmbeddedError, embedded, running
from ehr_server.store.embedded.owner import Owner, can_reach
from servers import processes_of

# Every other test runs on the embedded PostgreSQL; these are about its edges.
pytestmark = pytest.mark.slow

_SERVER = """
import sys
from pathlib import Path
from ehr_server.store.embedded import embedded
with embedded(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _server(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs the embedded PostgreSQL until its input closes."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert url
        try:
            yield process, url
        finally:
            process.kill()
    _eventually(lambda: not processes_of(data_dir), "PostgreSQL was left behind")


def _eventually(is_so: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


def _postmaster(data_dir: Path) -> int:
    return int(data_dir.joinpath("postgres/18/postmaster.pid").read_text().split()[0])


def _supervisor(data_dir: Path) -> int:
    parent = Path(f"/proc/{_postmaster(data_dir)}/stat").read_text().rsplit(")", 1)[1].split()[1]
    return int(parent)


def _write(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (1)")


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("select count(*) from kept").fetchone() or (0,)
        return int(count)


def _can_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_starts_stops_and_keeps_its_data(folder: Path) -> None:
    for round_ in (1, 2):
        with embedded(folder / "data") as url:
            assert running(folder / "data") == url
            _write(url)
            assert _count(url) == round_
        assert running(folder / "data") is None
        assert processes_of(folder) == []


def test_is_set_up_to_keep_records_safe(folder: Path) -> None:
    expected = {
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "log_error_verbosity": "terse",
        "jit": "off",
        "max_locks_per_transaction": "256",
    }
    with embedded(folder / "data") as url, psycopg.connect(url) as connection:
        found = dict(connection.execute("select name, setting from pg_settings").fetchall())
        assert {name: found[name] for name in expected} == expected
        locale = "select datlocprovider, datlocale from pg_database where datname = 'ehr'"
        assert connection.execute(locale).fetchone() == ("b", "C.UTF-8")
        is_super = connection.execute("select rolsuper from pg_roles where rolname = user")
        assert is_super.fetchone() == (False,)


def test_own_settings_have_the_last_word(folder: Path) -> None:
    with embedded(folder / "data"):
        pass
    folder.joinpath("data/postgres/own.conf").write_text("work_mem = 7MB\n")
    with embedded(folder / "data") as url, psycopg.connect(url) as connection:
        assert connection.execute("show work_mem").fetchone() == ("7MB",)


def test_the_log_quotes_no_values(folder: Path) -> None:
    with embedded(folder / "data") as url, psycopg.connect(url) as connection:
        connection.execute("create table person (name text primary key)")
        for statement in ("insert into person values ('Nguyễn Văn A')", "select 'Nguyễn'::int"):
            connection.commit()
            with pytest.raises(psycopg.Error):
                connection.execute(f"{statement}; {statement}")
    assert "Nguyễn" not in folder.joinpath("data/postgres/log").read_text()


def test_a_killed_postgresql_is_started_again(folder: Path) -> None:
    with embedded(folder / "data") as url:
        _write(url)
        os.kill(_postmaster(folder / "data"), signal.SIGKILL)
        _eventually(lambda: _can_connect(url), "PostgreSQL was not started again")
        assert _count(url) == 1


def test_children_of_a_killed_postgresql_do_not_hinder_the_next(folder: Path) -> None:
    with embedded(folder / "data") as url:
        busy = subprocess.Popen(
            [sys.executable, "-c", f"import psycopg; psycopg.connect({url!r}).execute("
             "'select count(*) from generate_series(1, 10000000000)')"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        query = "select count(*) from pg_stat_activity where query like '%generate_series%'"
        with psycopg.connect(url, autocommit=True) as connection:
            _eventually(lambda: connection.execute(query).fetchone() == (2,), "no busy backend")
        os.kill(_postmaster(folder / "data"), signal.SIGKILL)
        _eventually(lambda: _can_connect(url), "PostgreSQL was not started again")
        assert busy.wait(10) != 0


def test_a_killed_supervisor_is_replaced(folder: Path) -> None:
    with embedded(folder / "data") as url:
        _write(url)
        first = _postmaster(folder / "data")
        os.kill(_supervisor(folder / "data"), signal.SIGKILL)
        _eventually(
            lambda: _can_connect(url) and _postmaster(folder / "data") != first,
            "PostgreSQL was not started again",
        )
        assert _count(url) == 1


def test_a_killed_server_leaves_nothing_behind(folder: Path) -> None:
    with _server(folder / "data") as (process, url):
        _write(url)
        process.kill()
        process.wait()
        with embedded(folder / "data") as url_again:  # at once, while the old one is stopping
            assert _count(url_again) == 1


def test_a_killed_server_and_supervisor_leave_nothing_behind(folder: Path) -> None:
    with _server(folder / "data") as (process, url):
        _write(url)
        supervisor = _supervisor(folder / "data")
        process.kill()
        os.kill(supervisor, signal.SIGKILL)
        process.wait()
        with embedded(folder / "data") as url_again:
            assert _count(url_again) == 1


def test_a_second_server_on_the_folder_is_refused(folder: Path) -> None:
    with _server(folder / "data") as (process, url):
        with pytest.raises(EmbeddedError, match=f"in use by another server .process {process.pid}"):
            embedded(folder / "data").__enter__()
        assert _can_connect(url)


def test_a_start_that_was_cut_short_is_made_good(folder: Path) -> None:
    folder.joinpath("data/postgres/making-abc/base").mkdir(parents=True)
    with embedded(folder / "data") as url:
        assert _can_connect(url)
    assert list(folder.joinpath("data/postgres").glob("making-*")) == []


def test_a_pid_file_that_names_another_process_is_no_hindrance(folder: Path) -> None:
    with embedded(folder / "data"):
        cluster = folder / "data/postgres/18"
        left = cluster.joinpath("postmaster.pid").read_text()
        owner = cluster.stat()
    other = subprocess.Popen(["/bin/sleep", "60"], **_as(owner.st_uid))
    try:
        pid_file = cluster / "postmaster.pid"
        pid_file.write_text("\n".join([str(other.pid), *left.split("\n")[1:]]))
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with embedded(folder / "data") as url:
            assert _can_connect(url)
    finally:
        other.kill()
        other.wait()


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder: Path) -> None:
    data_dir = folder / ("long" * 20) / ("longer" * 10)
    sockets = set()
    for _ in range(2):
        with embedded(data_dir) as url:
            assert _can_connect(url)
        sockets.add(data_dir.joinpath("postgres/socket").readlink())
    (socket,) = sockets
    socket.rmdir()


def test_data_of_another_major_are_refused_with_what_to_do(folder: Path) -> None:
    folder.joinpath("data/postgres/17").mkdir(parents=True)
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 17.*restore"):
        embedded(folder / "data").__enter__()


def test_a_broken_configuration_is_reported(folder: Path) -> None:
    with embedded(folder / "data"):
        pass
    folder.joinpath("data/postgres/own.conf").write_text("no_such_thing = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_thing"):
        embedded(folder / "data").__enter__()


def test_what_a_user_can_reach_is_told_from_the_permissions(folder: Path) -> None:
    other = Owner(uid=65_000, gid=65_000, name="someone")
    closed = folder / "closed"
    closed.joinpath("below").mkdir(parents=True)
    assert can_reach(closed / "below", other)
    closed.chmod(0o700)
    assert not can_reach(closed / "below", other)
    assert can_reach(closed / "below", Owner(os.geteuid(), os.getegid(), "self"))


def _as(uid: int) -> dict[str, object]:
    return {"user": uid} if os.geteuid() == 0 else {}


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start as another user")


@as_root
def test_root_runs_it_as_an_unprivileged_user(folder: Path) -> None:
    with embedded(folder / "data") as url, psycopg.connect(url):
        owner = Path(f"/proc/{_postmaster(folder / 'data')}").stat().st_uid
        assert owner == pwd.getpwnam("nobody").pw_uid
        assert folder.joinpath("data/postgres/18").stat().st_mode & 0o777 == 0o700


@as_root
def test_the_umask_of_root_does_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ehr_server.store.embedded.owner.SHARED", folder / "shared")
    umask = os.umask(0o077)
    try:
        for data_dir in (folder / "data", folder / "closed" / "data"):  # in reach, and out of it
            with embedded(data_dir) as url:
                assert _can_connect(url)
    finally:
        os.umask(umask)
    assert folder.joinpath("closed/data/postgres").resolve().parent == folder / "shared"


@as_root
def test_root_runs_it_as_the_owner_of_the_data_folder(folder: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    data_dir = folder / "data"
    data_dir.mkdir()
    os.chown(data_dir, daemon.pw_uid, daemon.pw_gid)
    with embedded(data_dir) as url:
        assert _can_connect(url)
        assert Path(f"/proc/{_postmaster(data_dir)}").stat().st_uid == daemon.pw_uid


@as_root
def test_out_of_reach_of_that_user_it_is_placed_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = folder / "shared"
    monkeypatch.setattr("ehr_server.store.embedded.owner.SHARED", shared)
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for round_ in (1, 2):
        with embedded(closed / "data") as url:
            _write(url)
            assert _count(url) == round_
    assert closed.stat().st_mode & 0o777 == 0o700
    elsewhere = closed.joinpath("data/postgres").resolve()
    assert elsewhere.parent == shared
    assert list(shared.glob("closed-*")) == [elsewhere]


@as_root
def test_programs_out_of_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ehr_server.store.embedded.owner.SHARED", folder / "shared")
    monkeypatch.setattr(
        "ehr_server.store.embedded.programs.can_reach",
        lambda path, owner: path.parent.name != "bin" and can_reach(path, owner),
    )
    with embedded(folder / "data") as url:
        assert _can_connect(url)
        command = Path(f"/proc/{_postmaster(folder / 'data')}/cmdline").read_text()
    assert command.startswith(str(folder / "shared/postgresql-18-"))


@as_root
def test_with_no_place_elsewhere_the_refusal_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ehr_server.store.embedded.owner.SHARED", Path("/proc/none"))
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="start the server as an ordinary user"):
        embedded(closed / "data").__enter__()


@as_root
def test_an_ordinary_user_runs_it_as_itself(folder: Path) -> None:
    python = Path(sys.executable).resolve()
    nobody = pwd.getpwnam("nobody")
    owner = Owner(nobody.pw_uid, nobody.pw_gid, nobody.pw_name)
    package = Path(sys.modules["ehr_server"].__file__ or "")
    if not all(can_reach(path, owner) for path in (python, package, Path(psycopg.__file__))):
        pytest.skip("this Python or this checkout is closed to other users")
    os.chown(folder, owner.uid, owner.gid)
    code = _SERVER.replace("sys.stdin.read()", "").replace("url, flush", "url.count('/'), flush")
    for _ in range(2):
        done = subprocess.run(
            [python, "-c", code, str(folder / "data")],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=owner.uid,
            group=owner.gid,
            extra_groups=[],
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert folder.joinpath("data").stat().st_mode & 0o777 == 0o700
