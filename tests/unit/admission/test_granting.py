"""Scopes of SMART, and what two of them allow together.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

import pytest

from ehr_server.admission.granting import granted, system_scope


@pytest.mark.parametrize(
    "text",
    [
        *("system/*.cruds", "system/Observation.rs", "system/Patient.r", "system/Patient.read"),
        *("system/*.write", "system/*.*", "system/Observation.rs?category=laboratory"),
        "system/Observation.rs?category=http://x.org/a|b&status=final",
    ],
)
def test_scopes_of_programs(text: str) -> None:
    assert system_scope(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "system/",
            "system/Patient",
            "system/Patient.",
            "system/Patient.sr",
            "system/Patient.x",
        ),
        *("user/Patient.rs", "patient/*.rs", "launch", "openid", "system/patient.rs"),
        *(
            "system/Patient.rs?",
            "system/Patient.rs ?a=b",
            "system/Patient.rs\n",
            "System/Patient.r",
        ),
    ],
)
def test_what_is_none(text: str) -> None:
    """`cruds` come in this order: "in-order"."""
    assert system_scope(text) is None


@pytest.mark.parametrize(
    ("asked", "registered", "expected"),
    [
        ("system/Patient.rs", "system/*.cruds", "system/Patient.rs"),
        ("system/*.cruds", "system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.read", "system/Patient.r", "system/Patient.r"),
        ("system/Patient.write", "system/*.cruds", "system/Patient.write"),
        ("system/Patient.cud", "system/*.rs", ""),
        ("system/Patient.rs", "system/Observation.rs", ""),
        # Who is registered for a part gets that part, whatever is asked for.
        ("system/Observation.rs", "system/Observation.rs?a=b", "system/Observation.rs?a=b"),
        ("system/Observation.rs?c=d", "system/Observation.rs?a=b", "system/Observation.rs?a=b&c=d"),
        ("system/Observation.rs?a=b", "system/Observation.rs", "system/Observation.rs?a=b"),
        ("system/*.rs", "system/Aa.r system/Bb.s", "system/Aa.r system/Bb.s"),
        ("system/Aa.rs", "system/Aa.r system/*.s", "system/Aa.r system/Aa.s"),
        ("system/Aa.r system/Aa.r", "system/*.r", "system/Aa.r"),
        ("system/Aa.r", "user/*.cruds", ""),
    ],
)
def test_what_is_granted(asked: str, registered: str, expected: str) -> None:
    assert granted(asked.split(), registered.split()) == expected.split()
