"""Value sets of R4 as R4 itself expands them: https://hl7.org/fhir/R4/valueset.html#expansion"""

from collections import Counter

import pytest

from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import shipped
from ehr_server.errors import Refusal
from ehr_server.terminology import Terminology
from ehr_server.terminology.refusals import NotLoaded


@pytest.fixture(scope="module")
def given() -> Terminology:
    return Terminology(shipped())


@pytest.mark.parametrize("url", sorted(definitions().codes))
def test_a_required_value_set_has_the_codes_that_r4_publishes(given: Terminology, url: str) -> None:
    """The tables of the definitions come from R4's own expansions, made by another terminology
    server: an independent second opinion."""
    expected = definitions().codes[url]
    by_system = given.codes(url, most=10_000)
    assert by_system is not None
    assert frozenset().union(*by_system.values()) == expected
    assert all(given.has(url, None, code) for code in expected)
    assert given.has(url, None, "no such code") is False


def test_no_value_set_of_r4_is_broken(given: Terminology) -> None:
    """What cannot be listed draws on systems or value sets that R4 does not publish."""
    found: Counter[str] = Counter()
    for one in shipped().all("ValueSet"):
        try:
            given.groups(one.url)
            found["listed"] += 1
        except NotLoaded:
            found["not loaded"] += 1
        except Refusal as refusal:
            found[str(refusal)] += 1
    assert found.pop("listed") > 1200
    assert found.pop("not loaded") < 120
    assert len(found) <= 2, found  # two import what R4 does not have


@pytest.mark.parametrize(
    ("value_set", "system", "code"),
    [
        ("observation-codes", "http://loinc.org", "8480-6"),
        ("condition-code", "http://snomed.info/sct", "38341003"),
        ("mimetypes", "urn:ietf:bcp:13", "text/plain"),
        ("ucum-units", "http://unitsofmeasure.org", "mm[Hg]"),
    ],
)
def test_codes_of_systems_that_r4_does_not_publish_are_not_checked(
    given: Terminology, value_set: str, system: str, code: str
) -> None:
    assert given.has(f"http://hl7.org/fhir/ValueSet/{value_set}", system, code) is None
