"""An export without the persons: what a named policy makes of its lines, headers and deletions.

Made once by each process that writes parts, from what the ask keeps and a key that stays in the
database (docs/explanation/deidentification.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ehr_server.deidentify import policies, policy
from ehr_server.errors import Forbidden, Invalid
from ehr_server.fhir import json
from ehr_server.sensitivity import reasons
from ehr_server.store import merged
from ehr_server.store.export import Veil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ehr_server.access.caller import Caller
    from ehr_server.deidentify import Deidentify
    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store


@dataclass(frozen=True, slots=True)
class Veiled:
    """What a policy leaves, for the rows of one export. `survivors` has by the compartment of a
    record that was merged that of the record that survives: one person, one shift of dates."""

    leave: Deidentify
    survivors: Mapping[int, int]

    def line(self, content: bytes, comp: int) -> bytes | None:
        """The line of a row that lies in a compartment; None where nothing is left."""
        person = str(self.survivors.get(comp, comp)) if comp & 1 else None
        left = self.leave(json.read_stored(content), person)
        return None if left is None else json.write(left)

    def id(self, type_name: str, id_: str) -> str:
        """What stands for the id of a resource, wherever the export names it."""
        return self.leave.id(type_name, id_)


def veiled(store: Store, veil: Veil) -> Veiled:
    """Raises `Invalid` for a policy that is gone or wrong since the export was asked for."""
    with store.connection() as connection:
        survivors = merged.survivors(connection)
    return Veiled(leaving(store, veil), survivors)


def leaving(store: Store, veil: Veil) -> Deidentify:
    """What the policy leaves. Its key is the same for all its exports, and never in a job or a
    file: made when first asked for. Raises as `veiled`."""
    found = policy(veil.policy, Path(veil.folder) if veil.folder else None)
    key = store.secret(f"deidentify-{veil.policy}")
    told = frozenset(veil.reasons)
    return found.of(key, year=veil.year, may_tell=told.__contains__)


def veil_of(
    settings: Settings, caller: Caller, wanted: tuple[str, Sequence[str]], at: datetime
) -> Veil | None:
    """What an export as of `at` keeps of the policy and the restricted data that are asked for;
    None where no policy is.

    Raises `Invalid` for a policy or a reason that is not known, `Forbidden` for restricted data
    that the caller has no right to.
    """
    name, asked = wanted
    if not name:
        if asked:
            raise Invalid(
                "_restricted goes with _deidentify: an export of the record as it is holds all.",
                vi="_restricted chỉ dùng cùng _deidentify: xuất nguyên hồ sơ thì đã có tất cả.",
                expression=("_restricted",),
            )
        return None
    folder = settings.deidentify_dir
    if name not in policies(folder):
        known = ", ".join(policies(folder))
        raise Invalid(
            f"_deidentify: there is no such policy. There are: {known}.",
            vi=f"_deidentify: không có chính sách này. Hiện có: {known}.",
            expression=("_deidentify",),
        )
    policy(name, folder)  # one that cannot be used is refused before there is a job
    unknown = sorted(set(asked) - reasons())
    if unknown:
        known = ", ".join(sorted(reasons()))
        raise Invalid(
            f"_restricted: known are {known}.",
            vi=f"_restricted: các giá trị có thể là {known}.",
            expression=("_restricted",),
        )
    denied = [reason for reason in asked if not caller.may_tell(reason)]
    if denied:
        listed = ", ".join(denied)
        raise Forbidden(
            f"_restricted: you have no right to export {listed}.",
            vi=f"_restricted: bạn không có quyền xuất {listed}.",
            expression=("_restricted",),
        )
    kept = "" if folder is None else str(folder.absolute())
    return Veil(name, kept, at.year, tuple(sorted(set(asked))))
