"""SNOMED CT, from the snapshot of a release in RF2: https://hl7.org/fhir/R4/snomedct.html

The path is a folder that holds, at any depth, the files sct2_Concept_Snapshot*.txt,
sct2_Description_Snapshot*.txt (of each language), sct2_Relationship_Snapshot*.txt and, if the
preferred terms are wanted as displays, der2_cRefset_LanguageSnapshot*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ehr_server.terminology.published.form import (
    Concept,
    Head,
    ListError,
    code_system,
    columns,
    rows,
)
from ehr_server.terminology.published.form import concept as concept_of

if TYPE_CHECKING:
    from pathlib import Path

_IS_A = "116680003"
_FULL_NAME = "900000000000003001"
_DEFINITION = "900000000000550004"
_PREFERRED = "900000000000548007"


def read_rf2(path: Path, head: Head) -> dict[str, Any]:
    """The CodeSystem of the active concepts of a release. Raises `ListError`."""
    active = {row["id"] for row in _rows(path, "sct2_Concept_", "id")}
    if not active:
        raise ListError(f"{path.name} is no folder with sct2_Concept_Snapshot*.txt")
    parents: dict[str, list[str]] = {}
    for row in _rows(path, "sct2_Relationship_", "sourceId", "destinationId", "typeId"):
        if row["typeId"] == _IS_A and row["sourceId"] in active:
            parents.setdefault(row["sourceId"], []).append(row["destinationId"])
    terms: dict[str, list[dict[str, str]]] = {}
    for row in _rows(path, "sct2_Description_", "conceptId", "languageCode", "typeId", "term"):
        if row["conceptId"] in active:
            terms.setdefault(row["conceptId"], []).append(row)
    preferred = _preferred(path)
    concepts = [
        _concept(code, terms.get(code, []), parents.get(code, []), preferred)
        for code in sorted(active, key=int)
    ]
    return code_system(head, concepts)


def _concept(
    code: str, terms: list[dict[str, str]], parents: list[str], preferred: set[str]
) -> Concept:
    """The display is the preferred English term, else the full name, else any."""
    names = [one for one in terms if one["typeId"] != _DEFINITION]
    ranked = sorted(
        names,
        key=lambda one: (
            one["languageCode"] != "en",
            one["typeId"] == _FULL_NAME if preferred else one["typeId"] != _FULL_NAME,
            one["id"] not in preferred,
        ),
    )
    made = concept_of(code, ranked[0]["term"] if ranked else "", parents)
    if len(ranked) > 1:
        made["designation"] = [
            {"language": one["languageCode"], "value": one["term"]} for one in ranked[1:]
        ]
    return made


def _preferred(path: Path) -> set[str]:
    """The ids of descriptions that some dialect prefers."""
    wanted = _rows(path, "der2_cRefset_Language", "referencedComponentId", "acceptabilityId")
    return {row["referencedComponentId"] for row in wanted if row["acceptabilityId"] == _PREFERRED}


def _rows(path: Path, name: str, *needed: str) -> Iterator[dict[str, str]]:
    """The active rows of the snapshots so named; fields are never quoted."""
    for file in sorted(path.rglob(f"{name}*.txt")):
        if "Snapshot" in file.name:
            with rows(file, "\t", is_quoted=False) as table:
                columns(table, file, "active", *needed)
                yield from (row for row in table if row["active"] == "1")
