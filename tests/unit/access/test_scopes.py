"""https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html"""

import pytest

from ehr_server.access.scopes import Scope, scope


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("system/Observation.rs", Scope("system", "Observation", frozenset("rs"))),
        ("patient/*.cruds", Scope("patient", "*", frozenset("cruds"))),
        ("user/Patient.read", Scope("user", "Patient", frozenset("rs"))),
        ("user/Patient.write", Scope("user", "Patient", frozenset("cud"))),
        ("user/*.*", Scope("user", "*", frozenset("cruds"))),
        (
            "patient/Observation.rs?category=http://x|laboratory&code=a,b",
            Scope(
                "patient",
                "Observation",
                frozenset("rs"),
                (("category", "http://x|laboratory"), ("code", "a,b")),
            ),
        ),
    ],
)
def test_both_versions_are_read(text: str, meant: Scope) -> None:
    assert scope(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "openid", "launch/patient", "offline_access", "", "system/Observation", "system/Foo.rs",
        "system/Observation.sr", "system/Observation.rr", "system/Observation.x", "all/Patient.rs",
        "system/Observation.rs?", "SYSTEM/Observation.rs",
        "system/Observation.rs ", "system/observation.rs",
    ],
)  # fmt: skip
def test_what_is_not_understood_grants_nothing(text: str) -> None:
    """ "Clients SHALL use" letters "in order"; a scope in doubt is none."""
    assert scope(text) is None
