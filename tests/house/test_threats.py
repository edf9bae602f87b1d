"""The threat model names a test for each threat, and each of these is there."""

import re

from house.sources import ROOT, expect_none

PAGE = ROOT / "docs" / "explanation" / "security.md"
_THREAT = re.compile(r"\| ([STRIDE][0-9]+) \|.*\| ([^|]*) \|")


def test_each_threat_names_tests_that_are_there() -> None:
    threats = _THREAT.findall(PAGE.read_text(encoding="utf-8"))
    assert len(threats) > 40
    expect_none([one for one, tests in threats if not re.findall("`[^`]+`", tests)])
    named = {test for _, tests in threats for test in re.findall("`([^`]+)`", tests)}
    expect_none([name for name in sorted(named) if not (ROOT / "tests" / name).exists()])
