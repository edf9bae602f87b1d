"""An expression that is nested beyond reason is refused like any other that cannot be used."""

import pytest

from ehr_server.fhirpath import FHIRPathError, compile_invariant


@pytest.mark.parametrize(
    "expression",
    ["(" * 3000 + "true" + ")" * 3000, "name" + ".first()" * 5000, "true" + " and true" * 5000],
)
def test_an_expression_nested_too_deeply(expression: str) -> None:
    with pytest.raises(FHIRPathError, match="too deep"):
        compile_invariant(expression, "Patient")
