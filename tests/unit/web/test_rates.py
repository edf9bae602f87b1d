"""Rates that all processes count together: `ehr_server.web.rates`."""

import multiprocessing

import pytest

from ehr_server import clock
from ehr_server.web.rates import Rate, Rates

_TEN = Rate(per_s=10, burst=5)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in milliseconds, set by the test."""
    moment = [1_000_000.0]
    monkeypatch.setattr(clock, "ticks_ms", lambda: moment[0])
    return moment


def test_the_burst_passes_and_then_the_rate(at: list[float]) -> None:
    rates = Rates(64)
    assert _late(rates, _TEN, 7) == [0, 0, 0, 0, 0, 0.1, 0.1]
    at[0] += 99
    assert _late(rates, _TEN, 1) == [0.001]
    at[0] += 1
    assert _late(rates, _TEN, 2) == [0, 0.1]
    at[0] += 60_000  # idle for long, and no more than the burst is saved up
    assert _late(rates, _TEN, 6) == [0, 0, 0, 0, 0, 0.1]


def test_over_a_minute_no_more_than_rate_and_burst_pass(at: list[float]) -> None:
    rates, passed = Rates(64), 0
    for _ in range(60_000):
        passed += rates.take("a", _TEN) == 0
        at[0] += 1
    assert passed == pytest.approx(60 * 10 + 5, abs=1)


def test_who_is_patient_is_counted_and_told_when_to_go_on(at: list[float]) -> None:
    """Evenly: one after the other, a tenth of a second apart."""
    rates = Rates(64)
    late = [round(rates.take("a", _TEN, patience_s=0.3), 6) for _ in range(10)]
    assert late == [0, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.4]
    at[0] += 100
    assert round(rates.take("a", _TEN, patience_s=0.3), 6) == 0.3


def test_whether_all_is_spent_is_asked_without_spending(at: list[float]) -> None:
    rates = Rates(64)
    assert not any(rates.is_spent("a", _TEN) for _ in range(100))
    _late(rates, _TEN, 5)
    assert rates.is_spent("a", _TEN)
    at[0] += 100
    assert not rates.is_spent("a", _TEN)


def _late(rates: Rates, rate: Rate, times: int) -> list[float]:
    return [round(rates.take("a", rate), 6) for _ in range(times)]


def test_clients_count_apart(at: list[float]) -> None:
    rates = Rates(1024)
    while not rates.take("noisy", _TEN):
        pass
    assert [rates.take(f"quiet {number}", _TEN) for number in range(50)] == [0] * 50


def test_any_number_of_clients_takes_the_same_memory(at: list[float]) -> None:
    """Those of the past make room; in a full table nobody is refused for what others did."""
    rates = Rates(64)
    for number in range(10_000):
        assert rates.take(f"client {number}", _TEN) == 0
        at[0] += 10
    for number in range(10_000):  # at one moment
        assert rates.take(f"stranger {number}", _TEN) == 0


def test_processes_count_together() -> None:
    """Four take what there is, each in a process of its own, and nothing is left."""
    rates = Rates(64)
    slow = Rate(per_s=0.001, burst=5)
    context = multiprocessing.get_context("spawn")
    for _ in range(4):
        other = context.Process(target=rates.take, args=("a", slow))
        other.start()
        other.join(60)
        assert other.exitcode == 0
    assert rates.take("a", slow) == 0
    assert rates.take("a", slow) > 0
