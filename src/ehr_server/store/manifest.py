"""The manifest of an export. https://hl7.org/fhir/uv/bulkdata/export.html#response---output-manifest

Beside the fields of the guide, `extension` of a file holds its SHA-256, in hexadecimal, under the
name `SHA_256`: what a link that broke has left is told from the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.store.files import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.store.files import File

SHA_256 = "http://ehr-server.org/fhir/bulk-data/sha-256"


@dataclass(frozen=True, slots=True)
class Heading:
    """What a manifest says before its files: the instant `at` that they are as of, the request,
    below which address the files lie, whether deletions were asked for, and the type by whose
    resources the files are organized, "" where they are by their types."""

    at: str
    request: str
    address: str
    has_deleted: bool
    organized_by: str = ""


def manifest(heading: Heading, files: Sequence[File], following: str = "") -> dict[str, Any]:
    """The manifest of the files; `following` is the address of that of the next files, if any."""
    found: dict[str, Any] = {
        "transactionTime": heading.at,
        "request": heading.request,
        "requiresAccessToken": False,
    }
    if heading.organized_by:
        found["outputOrganizedBy"] = heading.organized_by
    output = [one for one in files if not one.is_deleted and one.type != OUTCOMES]
    found["output"] = [_entry(heading, file) for file in output]
    if heading.has_deleted:
        found["deleted"] = [_entry(heading, file) for file in files if file.is_deleted]
    outcomes = [_entry(heading, file) for file in files if file.type == OUTCOMES]
    found["error"] = outcomes  # the name in 2.0
    found["outcome"] = outcomes  # the name in 3.0
    if following:
        found["link"] = [{"relation": "next", "url": following}]
    return found


def _entry(heading: Heading, file: File) -> dict[str, Any]:
    shown = {
        "url": f"{heading.address}{file.name}",
        "count": file.count,
        "fileSize": file.bytes,
        "extension": {SHA_256: file.sha256},
    }
    is_organized = heading.organized_by and not file.is_deleted and file.type != OUTCOMES
    return shown if is_organized else {"type": file.type, **shown}
