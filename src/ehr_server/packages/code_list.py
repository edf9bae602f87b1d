"""A code list as a package of one artifact, so that it is checked, stored and heard of as such."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ehr_server.definitions.library import artifact
from ehr_server.packages.check import check
from ehr_server.packages.shelf import on_shipped
from ehr_server.store.packages import save, stored

if TYPE_CHECKING:
    from ehr_server.issue import Issue
    from ehr_server.store.connect import Store

_OTHER = re.compile(r"[^A-Za-z0-9.-]+")
_NO_VERSION = "0"


def load_code_list(store: Store, code_system: dict[str, Any]) -> tuple[str, list[Issue], bool]:
    """Load a CodeSystem: its label, such as `codes.icd-10#2019`, the findings, and whether it was
    not there before. With an error among them nothing was loaded.

    Raises `Invalid` for what has no url, `Conflict` if another load was first.
    """
    label = _label(code_system)
    one = artifact(code_system, label)
    before = stored(store)
    library = on_shipped(before.layers).plus(label, [one])
    findings = check(library, [one])
    if any(issue.severity == "error" for issue in findings):
        return label, findings, False
    return label, findings, save(store, {label: [one]}, before.generation)


def _label(code_system: dict[str, Any]) -> str:
    """After the name of the system, in the form that names of packages have."""
    named = code_system.get("name") or code_system.get("url")
    name = _OTHER.sub("-", str(named)).strip("-.").lower()[:100]
    version = _OTHER.sub("-", str(code_system.get("version", ""))).strip("-.")[:64]
    return f"codes.{name or 'list'}#{version or _NO_VERSION}"
