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

import logging
import os
import stat
import tempfile
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ehr_server.store.embedded.owner import (
    EmbeddedError,
    Owner,
    can_reach,
    find_owner,
    give,
    make_folder,
    shared_folder,
)
from ehr_server.store.embedded.programs import MAJOR, find_programs

log = logging.getLogger(__name__)

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_MAX = 103  # bytes, of macOS; Linux allows 107


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
        give(making, self.folder)
        making.replace(self.folder / name)

    def touch(self, name: str, mode: int) -> None:
        """Make a file of the folder unless it is there."""
        path = self.folder / name
        if not path.exists():
            path.touch()
            path.chmod(mode)  # whatever the umask of root is, the user must read it
            give(path, self.folder)


def find_place(data_dir: Path) -> Place:
    """Decide user and folders, and make the folders; EmbeddedError when there is no way."""
    owner = find_owner(data_dir / "postgres" / str(MAJOR), data_dir)
    folder = _folder(data_dir, owner)
    return Place(owner, folder, find_programs(owner), _socket(folder, owner))


def _folder(data_dir: Path, owner: Owner) -> Path:
    folder = data_dir / "postgres"
    if folder.is_symlink() or folder.exists():
        folder = folder.resolve()
    elif owner.is_other and not can_reach(data_dir, owner):
        elsewhere = Path(
            tempfile.mkdtemp(prefix=f"{data_dir.parent.name}-", dir=shared_folder(owner))
        )
        folder.symlink_to(elsewhere)
        folder = elsewhere
        log.warning(
            "PostgreSQL runs as the user %s, who cannot reach %s: its data is placed in %s",
            owner.name,
            data_dir,
            folder,
        )
        folder.chmod(0o711)
    else:
        folder.mkdir()
        folder.chmod(0o711 if owner.is_other else 0o700)
    if not folder.is_dir():
        raise EmbeddedError(
            f"{data_dir / 'postgres'} points to {folder}, which is no folder. Bring that back, or "
            "remove the link to start without data."
        )
    if owner.is_other and not can_reach(folder, owner):
        raise EmbeddedError(
            f"The server was started by root, so PostgreSQL runs as {owner.name}, who cannot reach "
            f"{folder}. Give a --data-dir that {owner.name} can reach, such as /srv/ehr, or start "
            "the server as an ordinary user."
        )
    return folder


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
