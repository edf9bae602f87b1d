"""A code list as a package of one artifact, so that it is checked, stored and heard of as such."""

from __future__ import annotations

import re
from typing import Any

from ehr_server.definitions.catalog import artifact
from ehr_server.packages.read import Package

_OTHER = re.compile(r"[^A-Za-z0-9.-]+")
_NO_VERSION = "0"


def package_of(code_system: dict[str, Any]) -> Package:
    """The package of a CodeSystem, named after it in the form that names of packages have, such as
    `codes.icd-10#2019`. Raises `Invalid` for what has no url."""
    named = code_system.get("name") or code_system.get("url")
    name = _OTHER.sub("-", str(named)).strip("-.").lower()[:100]
    version = _OTHER.sub("-", str(code_system.get("version", ""))).strip("-.")[:64]
    name, version = f"codes.{name or 'list'}", version or _NO_VERSION
    return Package(name, version, {}, (artifact(code_system, f"{name}#{version}"),))
