"""The user that PostgreSQL runs as, and what that user can reach."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

SHARED = Path("/var/lib/ehr-server")  # what root places where others can reach it


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


def find_owner(cluster: Path, data_dir: Path) -> Owner:
    """This user; for root the owner of the cluster or of the data folder, else `nobody`."""
    uid = os.geteuid()
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


def make_folder(folder: Path, owner: Owner) -> Path:
    """A folder for the owner alone, made if need be."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner.is_other:
        os.chown(folder, owner.uid, owner.gid, follow_symlinks=False)
    return folder


def can_reach(path: Path, owner: Owner) -> bool:
    """Whether the owner may search every folder above `path`, and search or read `path`."""
    path = path.resolve()
    return all(_may(folder, owner, stat.S_IXOTH) for folder in path.parents) and _may(
        path, owner, stat.S_IXOTH if path.is_dir() else stat.S_IROTH
    )


def shared_folder(owner: Owner) -> Path:
    """The folder for what would be out of reach elsewhere, which is root's alone to change."""
    try:
        if not SHARED.exists():
            SHARED.mkdir(exist_ok=True)
            SHARED.chmod(0o755)
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


def give(path: Path, folder: Path) -> None:
    """Give what root made in a folder of another user to that user."""
    facts = folder.stat()
    if os.geteuid() == 0 and facts.st_uid != 0:
        os.chown(path, facts.st_uid, facts.st_gid, follow_symlinks=False)


def _may(path: Path, owner: Owner, bits: int) -> bool:
    facts = path.stat()
    if facts.st_uid == owner.uid:
        bits <<= 6
    elif facts.st_gid == owner.gid:
        bits <<= 3
    return facts.st_mode & bits == bits
