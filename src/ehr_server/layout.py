"""Where things lie: the folders that travel with the package, the leaves of the tables.

`resource` and `version` are LIST-partitioned by type. A hot type has leaves of its own, such as
`resource_observation`; all others share `resource_other` and `version_other`. Statements name the
leaf, because a query through the parent keeps a filter on the type that costs index-only scans
(18 ms against 1.4 for one count).
"""

from pathlib import Path

HOT_TYPES = (
    "AllergyIntolerance",
    "CarePlan",
    "Claim",
    "Composition",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Patient",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "ServiceRequest",
)

OTHER = "other"
LEAVES = (*(name.lower() for name in HOT_TYPES), OTHER)

_LEAF = {name: name.lower() for name in HOT_TYPES}


def leaf(type_name: str) -> str:
    """The suffix of the leaf tables that hold the type: `observation`, or `other`."""
    return _LEAF.get(type_name, OTHER)


def folder(name: str) -> Path:
    """`migrations` or `profiles`: inside the package in a wheel, beside `src` in a checkout."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parents[1] / name
