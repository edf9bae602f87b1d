"""Which form is read by what; a further one is a further row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Refusal
from ehr_server.fhir import json
from ehr_server.terminology.published.claml import read_claml
from ehr_server.terminology.published.form import Head, ListError
from ehr_server.terminology.published.loinc import read_loinc
from ehr_server.terminology.published.rf2 import read_rf2
from ehr_server.terminology.published.table import read_table

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, form: str, head: Head) -> dict[str, Any]:
    """The CodeSystem in a file of that form; of the form `fhir` the file says url and version
    itself. Raises `ListError`, and OSError for a file that is not there."""
    return FORMATS[form](path, head)


def _read_fhir(path: Path, head: Head) -> dict[str, Any]:
    try:
        resource = json.read(path.read_bytes())
    except Refusal as refusal:
        raise ListError(refusal.text) from None
    if not isinstance(resource, dict) or resource.get("resourceType") != "CodeSystem":
        raise ListError("it is no CodeSystem in JSON")
    if head.system and resource.get("url") != head.system:
        raise ListError(f"its url is {resource.get('url')}, not {head.system}")
    return resource


FORMATS: dict[str, Callable[[Path, Head], dict[str, Any]]] = {
    "csv": read_table,
    "loinc": read_loinc,
    "rf2": read_rf2,
    "claml": read_claml,
    "fhir": _read_fhir,
}
