"""Equal values once, few or many."""

from decimal import Decimal

import pytest

from ehr_server.fhirpath.flow import distinct


@pytest.mark.parametrize("times", [1, 20])
def test_distinct_keeps_the_first_of_equal_values_in_order(times: int) -> None:
    one, other = {"a": 1, "b": [{"c": Decimal("1.0")}]}, {"b": [{"c": Decimal("1.00")}], "a": 1}
    values = [{"z": 1}, one, other, {"a": 1}] * times
    assert distinct(values) == [{"z": 1}, one, {"a": 1}]
