"""What requests say, apart from any deed."""

import pytest

from ehr_server.call import Request


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("return=minimal", "return", "minimal"),
        ("respond-async, return = representation", "return", "representation"),
        ('handling="lenient"; respond-async', "handling", "lenient"),
        ("Return=OperationOutcome", "return", "operationoutcome"),
        ("respond-async", "respond-async", ""),
        ("respond-async-not", "respond-async", None),
        ("", "return", None),
    ],
)
def test_preferences(header: str, name: str, value: str | None) -> None:
    """https://www.rfc-editor.org/rfc/rfc7240"""
    assert Request("GET", (), headers={"prefer": header}).preference(name) == value
