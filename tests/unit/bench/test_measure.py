"""The whole bench on very little: that it runs to its end, not what it finds."""

import pytest

from harness.inputs import campaign
from harness.measure import measure
from harness.validation import costs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_small_campaign_is_measured_to_the_end() -> None:
    report = measure(campaign(6), seconds=0.1)
    assert [row.what for row in report.rows[:3]] == ["transaction"] * 3
    assert [row.what for row in report.rows[-2:]] == ["$export", "download of its files"]
    assert report.facts["resources exported"] >= report.facts["resources"]
    assert report.facts["disk bytes per resource"] > 500
    assert report.facts["peak memory of the largest server process, MB"] < 300


@pytest.mark.slow
def test_validation_is_measured_to_the_end() -> None:
    """https://hl7.org/fhir/R4/validation.html; of the figures only those that are no times."""
    found = costs([campaign(6)], rounds=1)
    assert found.facts["profiles compiled at the start"] == 0
    assert found.facts["profiles compiled by then"] > 5
    assert {row.what for row in found.rows} > {"gate of the standard", "with its local profiles"}
    assert sum(row.what == "refusal with 3 issues" for row in found.rows) == 2
    assert all(row.cpu_s > 0 for row in found.rows)
