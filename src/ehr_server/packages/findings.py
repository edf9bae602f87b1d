"""How a finding about an artifact is worded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ehr_server.issue import Issue

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Artifact


def error(about: Artifact, rule: str, text: str, vi: str, at: tuple[str, ...] = ()) -> Issue:
    """An issue that opens with the artifact's name; `text` and `vi` go on from there, `at` is
    where in the artifact."""
    name = f"{about.type} {about.url}"
    return Issue(
        "error", "invalid", f"{name}: {text}", at, vi=f"{name}: {vi}", rule=f"package-{rule}"
    )


def warning(about: Artifact, rule: str, text: str, vi: str, at: tuple[str, ...] = ()) -> Issue:
    """As `error`, of what does not stand in the way."""
    found = error(about, rule, text, vi, at)
    return replace(found, severity="warning", code="informational")
