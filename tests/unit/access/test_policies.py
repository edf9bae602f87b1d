"""Policies are data: what is wrong with one is told at the start, with the place."""

from pathlib import Path

import pytest

from ehr_server.access.policies import policies
from ehr_server.setting import SettingError


def test_those_that_are_shipped_hold() -> None:
    shipped = policies(None)
    assert {"facility", "person", "data-team", "administrator", "registrar"} <= set(shipped)
    assert [name for name, one in shipped.items() if one.is_whole] == ["everything"]
    assert all(one.about for one in shipped.values())


def test_a_rule_that_names_a_type_stands_before_one_that_names_a_set() -> None:
    (rule,) = policies(None)["facility"].of("Encounter", "u")
    assert rule.where == (("service-provider", "Organization/{facility}"),)
    (rule,) = policies(None)["facility"].of("Encounter", "d")
    assert rule.where == ()
    assert policies(None)["facility"].of("AuditEvent", "r") == ()


def test_a_policy_of_the_site_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text("about: ours\nmay: [{of: Patient, do: r}]\n")
    found = policies(tmp_path)
    assert found["facility"].about == "ours"
    assert found["facility"].of("Observation", "r") == ()
    assert found["person"] == policies(tmp_path)["person"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a list", "must be a mapping"),
        ("may: [{of: Patiant, do: r}]", "may[0].of: Patiant is no type"),
        ("may: [{of: Patient, do: rx}]", "may[0].do takes letters"),
        ("may: [{of: Patient}]", "may[0].do takes letters"),
        ("may: [{of: Patient, do: r, wher: a=b}]", "may[0].wher is not known"),
        ("may: [{of: Patient, do: r, where: nothing}]", "may[0].where must be a search"),
        ("may: [{of: Patient, do: r, by: mail}]", "may[0].by takes export"),
        ("mya: []", "mya is not known"),
        ("consent: yes", "consent takes heeded or none"),
        ("restricted: [HVI]", "restricted: HVI is none of"),
        ("may: [", "The policy broken"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(SettingError, match="broken") as refused:
        policies(tmp_path)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("{of: records, but: AuditEvnt, do: r}", r"may\[0\].but: AuditEvnt"),
        ("{of: Task, but: [AuditEvent], do: r}", r"may\[0\].but: AuditEvent"),
        ('{of: Task, do: u, own: "true"}', r"may\[0\].own"),
        ("{of: Task, do: u, own: 1}", r"may\[0\].own"),
    ],
)
def test_what_would_open_more_than_is_meant_is_refused(
    tmp_path: Path, rule: str, place: str
) -> None:
    (tmp_path / "site.yaml").write_text(f"may:\n  - {rule}\n", "utf-8")
    with pytest.raises(SettingError, match=place):
        policies(tmp_path)


def test_ours_hold() -> None:
    person = policies(None)["person"]
    assert not person.of("Group", "r")
    assert person.of("AuditEvent", "r")
