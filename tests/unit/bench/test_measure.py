"""The whole bench on very little: that it runs to its end, not what it finds."""

import pytest

from harness.inputs import campaign
from harness.measure import measure


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_small_campaign_is_measured_to_the_end() -> None:
    report = measure(campaign(6), seconds=0.1)
    assert [row.what for row in report.rows[:3]] == ["transaction"] * 3
    assert [row.what for row in report.rows[-2:]] == ["$export", "download of its files"]
    assert report.facts["resources exported"] >= report.facts["resources"]
    assert report.facts["disk bytes per resource"] > 500
    assert report.facts["peak memory of the largest server process, MB"] < 300
