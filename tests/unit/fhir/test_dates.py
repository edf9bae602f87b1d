"""https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ehr_server.fhir.dates import EARLIEST, LATEST, period, span

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("2024", at(2023, 12, 31, 17), at(2024, 12, 31, 17)),
        ("2024-02", at(2024, 1, 31, 17), at(2024, 2, 29, 17)),
        ("2024-12", at(2024, 11, 30, 17), at(2024, 12, 31, 17)),
        ("2024-02-29", at(2024, 2, 28, 17), at(2024, 2, 29, 17)),
        ("2024-02-29T10:00", at(2024, 2, 29, 3), at(2024, 2, 29, 3, 1)),
        ("2024-02-29T10:00:00Z", at(2024, 2, 29, 10), at(2024, 2, 29, 10, 0, 1)),
        ("2024-02-29T10:00:00-05:00", at(2024, 2, 29, 15), at(2024, 2, 29, 15, 0, 1)),
        (
            "2024-02-29T10:00:00.25Z",
            at(2024, 2, 29, 10, 0, 0, 250_000),
            at(2024, 2, 29, 10, 0, 0, 260_000),
        ),
        ("2016-12-31T23:59:60Z", at(2016, 12, 31, 23, 59, 59), at(2017, 1, 1)),
        ("0001", EARLIEST, datetime(2, 1, 1, tzinfo=HANOI).astimezone(UTC)),
        ("9999-12-31", at(9999, 12, 30, 17), LATEST),
        ("9999", at(9998, 12, 31, 17), LATEST),
    ],
)
def test_a_date_covers_the_time_of_its_precision(text: str, lo: datetime, hi: datetime) -> None:
    assert span(text, HANOI) == (lo, hi)


@pytest.mark.parametrize(
    "text",
    [
        "", "24", "2024-", "2024-13", "2023-02-29", "2024-2-9", "2024-02-30", "20240229",
        "2024-02-29T10", "2024-02-29 10:00:00", "2024T10:00", "2024-02-29T24:00:00Z",
        "2024-02-29T10:60:00Z", "2024-02-29T10:00:61Z", "2024-02-29T10:00:00+15:00",
        "2024-02-29Z", "2024-02-29T10:00:00.Z", "٢٠٢٤", "0000", " 2024",
    ],
)  # fmt: skip
def test_what_the_calendar_does_not_hold_is_no_date(text: str) -> None:
    with pytest.raises(ValueError):
        span(text, HANOI)


def test_a_period_is_open_where_it_says_nothing() -> None:
    assert period("2024-02-29", None, UTC) == (at(2024, 2, 29), LATEST)
    assert period(None, "2024-02-29", UTC) == (EARLIEST, at(2024, 3, 1))
    assert period("2024", "2024-02", UTC) == (at(2024, 1, 1), at(2024, 3, 1))
