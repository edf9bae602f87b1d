"""What a human is to decide about two records: one person, or two? A Task on the review list.

https://hl7.org/fhir/R4/task.html. The list is a search like any other:
`Task?code=same-person&status=requested&_sort=authored-on`. Whoever decides sets the status:
`completed` after a merge, `rejected` where they are two people. No identifier stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from ehr_server.hashing import hash64

Reason = Literal["same-number", "suspected-duplicate"]

CODES = "http://ehr-server.org/fhir/vn/CodeSystem/identity-review"
QUESTION = "same-person"  # the code of the Task
PAIR = "http://ehr-server.org/fhir/vn/sid/record-pair"  # of its identifier

_UNSIGNED = 2**64 - 1

_REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        "same-number": "Hai hồ sơ cùng giữ một số định danh",
        "suspected-duplicate": "Hai hồ sơ có thể là của cùng một người",
    }
)


def pair(one: str, other: str) -> str:
    """What stands for the two records with these ids, in whatever order, so that a pair is asked
    about once."""
    return f"{hash64('pair', *sorted((one, other))) & _UNSIGNED:016x}"


def task(
    reason: Reason, patient: str, other: str, authored: str, score: float | None = None
) -> dict[str, Any]:
    """The Task to look at `Patient/<patient>` beside `Patient/<other>`, the one that was there
    first. `authored` is an instant; `score`, 0 to 1, is how much speaks for one person."""
    found: dict[str, Any] = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "proposal",
        "identifier": [{"system": PAIR, "value": pair(patient, other)}],
        "code": {
            "coding": [{"system": CODES, "code": QUESTION, "display": "Có phải cùng một người?"}]
        },
        "reasonCode": {"coding": [{"system": CODES, "code": reason, "display": _REASONS[reason]}]},
        "focus": {"reference": f"Patient/{patient}"},
        "for": {"reference": f"Patient/{other}"},
        "authoredOn": authored,
    }
    if score is not None:
        found["input"] = [
            {"type": {"coding": [{"system": CODES, "code": "score"}]}, "valueDecimal": score}
        ]
    return found
