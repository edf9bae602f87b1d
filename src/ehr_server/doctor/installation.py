"""Checks of what is installed and set, and of the data folder."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from ehr_server.admission.fetch import is_loopback
from ehr_server.admission.issuers import issuers
from ehr_server.doctor.certificate import certificate
from ehr_server.doctor.finding import Finding, fail, ok, warn
from ehr_server.setting import SettingError
from ehr_server.settings import unknown_variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ehr_server.settings import Settings

_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([0-9.]+)")
_NUMBERS = re.compile(r"\d+")
_FREE_FAIL_BYTES, _FREE_WARN_BYTES = 1 << 30, 10 << 30


def python(_settings: Settings) -> Finding:
    """Older Pythons lack what the program is written in."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _PYTHON:
        return fail(f"Python {version}", "install Python 3.11 or newer")
    return ok(f"Python {version}")


def libraries(_settings: Settings) -> Finding:
    """Each in the range that the program was made for."""
    wrong = [one for one in metadata.requires("ehr-server") or () if not _is_met(one)]
    if wrong:
        names = ", ".join(one.partition(";")[0].strip() for one in wrong)
        return fail(f"libraries are missing or of another version: {names}",
                    "install ehr-server again, with requirements.txt of its version")  # fmt: skip
    return ok("libraries are of the versions that this program was made for")


def variables(settings: Settings) -> Finding:
    """A setting that is misspelt is as if it were not there."""
    unknown = unknown_variables()
    if unknown:
        return warn(f"{', '.join(unknown)}: no setting of this server",
                    "see docs/reference/settings.md for the right names")  # fmt: skip
    if settings.database_url is None and settings.workers > 1 and settings.no_worker:
        return warn("no-worker is set, and the embedded PostgreSQL serves this machine alone",
                    "run ehr-server worker beside the server, or unset no-worker")  # fmt: skip
    return ok("settings are known")


def callers(settings: Settings) -> Finding:
    """Everyone on this machine may call, or who has a token."""
    try:
        trusted = ", ".join(one.name for one in issuers(settings).values())
    except SettingError as error:
        return fail(f"{error}", "see docs/guides/authentication.md for what the file may hold")
    is_here = is_loopback(settings.host)
    if settings.auth == "required":
        if not is_here and not settings.public_url:
            return fail("tokens are asked for, and nobody knows for which address",
                        "set base-url to the address of the FHIR base")  # fmt: skip
        return ok(f"a token is asked for, of {trusted or 'no provider'} or of this server")
    if not is_here:
        return fail(f"{settings.host} would open the records to the network",
                    "set auth to required, or host to 127.0.0.1")  # fmt: skip
    return ok("no token is asked for: everyone on this machine may call, and nobody else")


def data_folder(settings: Settings) -> Finding:
    """It must be a folder that can be written."""
    folder = settings.data_dir.resolve()
    if not folder.exists():
        above = _there(folder)
        if not os.access(above, os.W_OK | os.X_OK) or not above.is_dir():
            return fail(f"the data folder {folder} cannot be made",
                        f"make it, or let this user write in {above}, or set data-dir")  # fmt: skip
        return ok(f"the data folder {folder} is not there yet; the first start makes it")
    if not folder.is_dir():
        return fail(f"{folder} is no folder", "set data-dir to a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(f"the data folder {folder} cannot be written",
                    "give it to the user that the server runs as, or set data-dir")  # fmt: skip
    if folder.stat().st_mode & 0o022:
        return warn(f"others may write in the data folder {folder}", f"chmod go-w {folder}")
    return ok(f"the data folder {folder} can be written")


def free_space(settings: Settings) -> Finding:
    """A full disk refuses writes."""
    folder = _there(settings.data_dir.resolve())
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:,.1f} GB are free where {settings.data_dir} lies"
    if free < _FREE_FAIL_BYTES:
        return fail(what, "make room, or move the data folder to a larger disk")
    if free < _FREE_WARN_BYTES:
        return warn(what, "plan for more room: a full disk refuses writes")
    return ok(what)


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    python,
    libraries,
    variables,
    callers,
    data_folder,
    free_space,
    certificate,
)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _is_met(requirement: str) -> bool:
    """Whether the library is there in its range; with a condition only if it is there."""
    needed, _, condition = requirement.partition(";")
    found = _REQUIREMENT.match(needed)
    if found is None or "extra" in condition:
        return True
    try:
        version = _numbers(metadata.version(found[1]))
    except metadata.PackageNotFoundError:
        return bool(condition)
    return all(_within(version, sign, _numbers(bound)) for sign, bound in _BOUND.findall(found[2]))


def _within(version: list[int], sign: str, bound: list[int]) -> bool:
    if sign == "==":
        return version[: len(bound)] == bound
    return {
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
    }[sign]


def _numbers(version: str) -> list[int]:
    return [int(one) for one in _NUMBERS.findall(version)[:3]]
