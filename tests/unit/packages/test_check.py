"""What is looked at before artifacts are let in: each rule, with what it lets pass."""

from typing import Any

import pytest

from ehr_server.definitions.catalog import Artifact, artifact, shipped
from ehr_server.issue import Issue
from ehr_server.packages import terminology
from ehr_server.packages.check import RULES, check, faulty
from tarballs import BASE, code_system, profile, value_set

LABEL = "org.example.guide#1.0.0"
SYSTEM = {"system": f"{BASE}/CodeSystem/x"}


def made(*resources: dict[str, Any]) -> list[Artifact]:
    return [artifact(one, LABEL) for one in resources]


def checked(*resources: dict[str, Any]) -> list[Issue]:
    new = made(*resources)
    return check(shipped().plus(LABEL, new), new)


def one_error(*resources: dict[str, Any]) -> Issue:
    [issue] = [issue for issue in checked(*resources) if issue.severity == "error"]
    assert issue.vi not in (None, "", issue.text)
    return issue


def include(*urls: str) -> dict[str, Any]:
    return {"valueSet": [f"{BASE}/ValueSet/{url}" for url in urls]}


def invariant(expression: str) -> dict[str, Any]:
    constraint = {"key": "x-1", "severity": "error", "human": "x", "expression": expression}
    return {"id": "Patient.name", "path": "Patient.name", "constraint": [constraint]}


def test_a_sound_package_has_no_findings() -> None:
    assert not checked(
        profile({"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}),
        code_system("colours", "red", "green"),
        value_set("colours", {"system": f"{BASE}/CodeSystem/colours"}),
        value_set("all", include("colours")),
    )


def test_an_artifact_is_a_resource_of_r4_itself() -> None:
    issue = one_error({**profile(), "status": "wonderful"})
    assert issue.rule == "package-structure"
    assert issue.text.startswith(f"StructureDefinition {BASE}/StructureDefinition/donor: ")
    assert issue.expression == ("StructureDefinition.status",)


def test_a_shape_that_other_rules_could_not_read_is_told_once() -> None:
    found = checked({**profile(), "differential": {"element": 5}})
    assert {issue.rule for issue in found} == {"package-structure"}


def test_an_invariant_that_an_artifact_breaks_itself_is_a_warning() -> None:
    """vsd-1: a value set includes a system or a value set; published packages break such too."""
    [issue] = checked(value_set("v", {"version": "1"}))
    assert (issue.severity, issue.rule) == ("warning", "package-structure")


def test_a_canonical_names_one_artifact_of_a_package() -> None:
    """https://hl7.org/fhir/R4/resource.html#canonical"""
    assert one_error(value_set("a", SYSTEM), value_set("a", SYSTEM)).rule == "package-duplicate"
    assert not checked(value_set("a", SYSTEM), {**value_set("a", SYSTEM), "version": "2"})


def test_a_profile_may_not_contradict_what_it_derives_from() -> None:
    """https://hl7.org/fhir/R4/profiling.html#cardinality: `Patient.active` is 0..1."""
    issue = one_error(profile({"id": "Patient.active", "path": "Patient.active", "min": 2}))
    assert issue.rule == "package-profile"
    assert "Patient.active" in issue.text


def test_profiles_that_derive_from_one_another_in_a_circle() -> None:
    circle = checked(
        profile(baseDefinition=f"{BASE}/StructureDefinition/b", id_="a"),
        profile(baseDefinition=f"{BASE}/StructureDefinition/a", id_="b"),
    )
    assert {(issue.severity, issue.rule) for issue in circle} == {("error", "package-profile")}


def test_a_profile_on_what_is_not_there() -> None:
    found = checked(profile(baseDefinition=f"{BASE}/StructureDefinition/nowhere"))
    assert [(one.severity, one.rule) for one in found] == [
        ("error", "package-profile"),
        ("warning", "package-canonical"),
    ]


@pytest.mark.parametrize("expression", ["family.exists(", "family.nonsense()", "fmaily.exists()"])
def test_an_invariant_must_parse(expression: str) -> None:
    """https://hl7.org/fhir/R4/conformance-rules.html#constraints"""
    issue = one_error(profile(invariant(expression)))
    assert issue.rule == "package-invariant"
    assert issue.expression == ("Patient.name",)


def test_an_invariant_may_be_about_one_type_of_a_choice() -> None:
    element = {"id": "Patient.deceased[x]", "path": "Patient.deceased[x]"}
    constraint = {"key": "x-1", "severity": "error", "human": "x", "expression": "$this = true"}
    assert not checked(profile({**element, "constraint": [constraint]}))


def test_an_invariant_may_not_hold_a_pattern_that_is_not_linear_in_time() -> None:
    assert one_error(profile(invariant("family.matches('(a)\\\\1')"))).rule == "package-invariant"


def test_the_form_of_a_value_must_be_a_regular_expression() -> None:
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": "(a"}
    element = {"id": "Patient.birthDate", "path": "Patient.birthDate", "extension": [extension]}
    assert one_error(profile(element)).rule == "package-pattern"


def test_value_sets_do_not_include_themselves() -> None:
    """https://hl7.org/fhir/R4/valueset.html#compositions"""
    issue = one_error(value_set("a", include("a")))
    assert issue.rule == "package-circle"
    found = checked(
        value_set("a", include("b")),
        value_set("b", include("c", "d")),
        value_set("c", include("d"), include("a")),
        value_set("d", SYSTEM),
        value_set("outside", include("a")),
    )
    errors = [issue.text for issue in found if issue.severity == "error"]
    assert [text.count(" -> ") for text in errors] == [3, 3, 3]


def test_value_sets_that_meet_again_are_no_circle() -> None:
    assert not checked(
        value_set("a", include("b"), include("c")),
        value_set("b", include("d")),
        value_set("c", include("d")),
        value_set("d", SYSTEM),
    )


def test_a_code_system_that_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminology, "CODES_MAX", 3)
    nested = code_system("n", "a")
    nested["concept"][0]["concept"] = [{"code": "b", "concept": [{"code": "c"}, {"code": "d"}]}]
    assert one_error(nested).rule == "package-size"
    listed = {"system": f"{BASE}/CodeSystem/n", "concept": [{"code": c} for c in "abcd"]}
    assert one_error(value_set("v", listed)).rule == "package-size"
    assert not checked(code_system("s", "a", "b", "c"))


def test_a_filter_by_a_pattern_that_is_none() -> None:
    filters = [{"property": "code", "op": "regex", "value": "(a"}]
    issue = one_error(value_set("v", {"system": f"{BASE}/CodeSystem/n", "filter": filters}))
    assert issue.rule == "package-pattern"


def test_canonicals_that_lead_nowhere_are_warnings() -> None:
    lost = f"{BASE}/ValueSet/lost"
    element = {
        "id": "Patient.maritalStatus",
        "path": "Patient.maritalStatus",
        "binding": {"strength": "required", "valueSet": f"{lost}|1"},
    }
    [issue] = checked(profile(element), value_set("v", include("lost")))
    assert (issue.severity, issue.rule) == ("warning", "package-canonical")
    assert lost in issue.text


def test_a_naming_system_that_is_none_is_left_out() -> None:
    """hl7.terminology.r4 7.0.1 holds two whose uniqueId has no type."""
    sound = {
        "resourceType": "NamingSystem",
        "id": "a",
        "name": "A",
        "status": "active",
        "kind": "identifier",
        "date": "2026-11-22",
        "uniqueId": [{"type": "uri", "value": "http://example.org/sid"}],
    }
    broken = {**sound, "id": "b", "uniqueId": [{"value": "http://example.org/sid"}]}
    [(left_out, issue)] = faulty(made(sound, broken))
    assert left_out.url == "NamingSystem/b"
    assert issue.severity == "warning"


def of_shipped(name: str) -> list[Issue]:
    [label] = [one for one in shipped().packages if one.startswith(name)]
    found = [issue for rule in RULES for issue in rule(shipped(), shipped().of(label))]
    return [issue for issue in found if issue.severity == "error"]


def test_the_local_profiles_pass_what_is_asked_of_packages() -> None:
    assert not of_shipped("ehr-server.vn#")


def test_what_r4_publishes_passes_but_for_three() -> None:
    """A slice that is required where the type allows none; slices that nothing tells apart; an
    invariant on an element that is not there."""
    urls = {issue.text.split()[1].rpartition("/")[2].rstrip(":") for issue in of_shipped("hl7.")}
    assert urls == {
        "codesystem-history",
        "familymemberhistory-genetic",
        "allergyintolerance-substanceExposureRisk",
    }


def test_a_new_parent_does_not_take_away_a_profile_that_is_loaded() -> None:
    """What was valid before goes on being valid: the package with the new parent is refused."""
    name = {"id": "Patient.name", "path": "Patient.name"}
    parent = profile({**name, "max": "5"}, id_="parent")
    child = profile({**name, "min": 2}, id_="child", baseDefinition=parent["url"])
    before = shipped().plus("a#1", [artifact(parent, "a#1"), artifact(child, "a#1")])
    narrower = artifact(profile({**name, "max": "1"}, id_="parent", version="2.0.0"), "b#1")
    issues = check(before.plus("b#1", [narrower]), [narrower])
    assert [issue.rule for issue in issues if issue.severity == "error"] == ["package-profile"]
    assert "child" in issues[0].text
