"""https://hl7.org/fhir/R4/http.html#ccreate"""

import pytest

from ehr_server.changes.change import Change
from ehr_server.changes.resolve import locks

SYSTEM = "http://fhir.hl7.org.vn/core/sid/cccd"


@pytest.mark.parametrize(
    "criteria",
    [
        f"?identifier={SYSTEM}|a\\,1",
        f"identifier={SYSTEM}%7Ca%5C%2C1",
        f"identifier={SYSTEM}|a\\,1,{SYSTEM}|2",
        f"identifier=2,{SYSTEM}|a\\,1&gender=male",
    ],
)
def test_a_criterion_and_who_brings_the_identifier_lock_the_same(criteria: str) -> None:
    """In whatever words it is sought, or two could be made at once."""
    plain = Change("create", "Patient", resource={"identifier": [{"value": "A,1"}]})
    sought = Change("create", "Patient", resource={}, if_none_exist=criteria)
    assert set(locks([plain])) <= set(locks([sought]))


def test_criteria_that_cannot_be_read_lock_only_themselves() -> None:
    sought = Change("create", "Patient", resource={}, if_none_exist="identifier=a\\b")
    assert len(list(locks([sought]))) == 1
