"""LOINC, from Loinc.csv of its release: https://hl7.org/fhir/R4/loinc.html

The display is the long common name; the short name is a designation, the parts are properties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.terminology.published.form import Concept, Head, code_system, columns, concept, rows

if TYPE_CHECKING:
    from pathlib import Path

_PROPERTIES = (
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "STATUS",
    "ORDER_OBS",
)


def read_loinc(path: Path, head: Head) -> dict[str, Any]:
    """The CodeSystem of Loinc.csv, whose codes do not mind case. Raises `ListError`."""
    with rows(path, ",") as table:
        columns(table, path, "LOINC_NUM", "LONG_COMMON_NAME", "STATUS")
        concepts = [_concept(row) for row in table]
    not_minding = Head(head.system, head.version, head.name, is_case_sensitive=False)
    return code_system(not_minding, concepts)


def _concept(row: dict[str, str]) -> Concept:
    is_inactive = row["STATUS"] == "DEPRECATED"
    made = concept(row["LOINC_NUM"], row["LONG_COMMON_NAME"], is_inactive=is_inactive)
    said = [{"code": one, "valueString": row[one]} for one in _PROPERTIES if row.get(one)]
    made["property"] = made.get("property", []) + said
    if row.get("SHORTNAME"):
        made["designation"] = [{"language": "en", "value": row["SHORTNAME"]}]
    return made
