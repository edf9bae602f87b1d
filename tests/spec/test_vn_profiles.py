"""The local profiles held against their examples: the good pass, of the bad each breach is named.

https://hl7.org/fhir/R4/profiling.html. `profiles/vn/examples/good` are resources that clinics can
take as a model; `bad` are the mistakes that clinics make, each with what is to be said of it. A
file is named by its profile, and after two hyphens by what is special about it.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.validation.policy import Policy
from ehr_server.validation.rulebook import Rulebook

ROOT = Path(__file__).parents[2] / "profiles" / "vn"
BASE = "http://ehr-server.org/fhir/vn/StructureDefinition/"
Resource = dict[str, Any]


def _files(folder: str) -> list[Any]:
    paths = sorted((ROOT / "examples" / folder).glob("*.json"))
    return [
        pytest.param(_profile(path), json.read(path.read_bytes()), id=path.stem) for path in paths
    ]


def _profile(path: Path) -> str:
    return path.stem.partition("--")[0]


def _resource_profiles() -> list[str]:
    paths = sorted((ROOT / "StructureDefinition").glob("*.json"))
    profiles = {path.stem: json.read(path.read_bytes()) for path in paths}
    return [name for name, one in profiles.items() if one["type"] != "Extension"]


PROFILES = _resource_profiles()
GOOD, BAD = _files("good"), _files("bad")


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    """As strict as can be, so that what a profile calls an error is one here."""
    return Rulebook(policy=Policy({"*": "reject"}))


def _rule(issue: Issue) -> str:
    """Of a rule of the standard the key that ends the text."""
    at_end = re.search(r"\((\w+-\d+)\)$", issue.text)
    return issue.rule or (at_end[1] if at_end else "")


@pytest.mark.parametrize(("profile", "resource"), GOOD)
def test_of_a_good_example_there_is_nothing_to_say(
    rulebook: Rulebook, profile: str, resource: Resource
) -> None:
    """Neither by what applies to it, nor by its profile named (a transaction has none)."""
    named = (BASE + profile,) if profile in PROFILES else ()
    assert rulebook.check(resource) == []
    assert rulebook.check(resource, profiles=named) == []


@pytest.mark.parametrize(("profile", "example"), BAD)
def test_of_a_bad_example_each_breach_is_named_and_no_more(
    rulebook: Rulebook, profile: str, example: Resource
) -> None:
    issues = rulebook.check(example["resource"])
    said = Counter((issue.expression[0], _rule(issue), issue.severity) for issue in issues)
    asked = Counter((one["expression"], one["rule"], one["severity"]) for one in example["breaks"])
    assert said == asked, [issue.text for issue in issues]


@pytest.mark.parametrize(("profile", "example"), BAD)
def test_by_default_a_breach_is_told_and_refuses_nothing(profile: str, example: Resource) -> None:
    """What breaks the standard itself aside: that is refused, whatever the policy."""
    for issue in Rulebook().check(example["resource"]):
        assert issue.severity == "warning" or not issue.profile
        assert issue.vi
        assert issue.vi != issue.text


def test_three_mistakes_of_a_checkup_are_told_where_they_are(rulebook: Rulebook) -> None:
    path = ROOT / "examples" / "bad" / "checkup-document--three-mistakes.json"
    issues = rulebook.check(json.read(path.read_bytes())["resource"])
    assert sorted(issue.profile.removeprefix(BASE) for issue in issues) == [
        "blood-pressure",
        "laboratory-result",
        "resident",
    ]
    assert all(issue.expression[0].startswith("Bundle.entry[") for issue in issues)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_has_a_good_example_and_several_bad_ones(profile: str) -> None:
    assert [one for one in GOOD if one.values[0] == profile]
    assert len([one for one in BAD if one.values[0] == profile]) > 1


@pytest.mark.parametrize(
    ("profile", "resource"), [one for one in GOOD if one.values[0] in PROFILES]
)
def test_a_profile_applies_to_what_does_not_claim_it(
    rulebook: Rulebook, profile: str, resource: Resource
) -> None:
    assert "meta" not in resource
    assert BASE + profile in [held.url for held, _ in rulebook.applying.to(resource)]


def test_good_vital_signs_keep_to_the_profiles_of_the_standard_too(rulebook: Rulebook) -> None:
    """https://hl7.org/fhir/R4/observation-vitalsigns.html: the panel to `bp`, height to
    `bodyheight`, ..."""
    standard = {
        "blood-pressure": "bp",
        "vital-signs": "bodyheight",
        "vital-signs--weight": "bodyweight",
        "vital-signs--bmi": "bmi",
        "vital-signs--pulse": "heartrate",
        "vital-signs--breathing": "resprate",
        "vital-signs--temperature": "bodytemp",
        "vital-signs--saturation": "oxygensat",
    }
    for example, name in standard.items():
        resource = json.read((ROOT / "examples" / "good" / f"{example}.json").read_bytes())
        url = f"http://hl7.org/fhir/StructureDefinition/{name}"
        assert rulebook.held(url)
        assert rulebook.check(resource, profiles=(url,)) == [], example
