"""What is wrong with a policy is told at the start, and opens nothing."""

from pathlib import Path

import pytest

from ehr_server.access.policies import policies
from ehr_server.setting import SettingError


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
