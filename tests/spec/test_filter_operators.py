"""What the operators of `_filter` mean: https://hl7.org/fhir/R4/search_filter.html#ops"""

import pytest

from ehr_server.search.escapes import unescape
from ehr_server.search.filter import OPERATORS
from ehr_server.search.malformed import Malformed
from ehr_server.search.operators import INTERNAL, ORDINARY, ordinary, ordinary_value
from ehr_server.search.parameters import TYPES
from ehr_server.search.prefixes import cut

# operator: type: what an ordinary search has before the value; "!" is what that does not find
TABLE = {
    "eq": {"string": ":equals=", "number": "=eq", "date": "=eq", "token": "=", "reference": "=",
           "quantity": "=eq", "uri": "="},
    "ne": {"string": "!:equals=", "number": "=ne", "date": "=ne", "token": ":not=",
           "quantity": "=ne", "uri": "!="},
    "co": {"string": ":contains=", "date": "=co"},
    "sw": {"string": "="},
    "ew": {"string": ":ends-with="},
    "gt": {"number": "=gt", "date": "=gt", "quantity": "=gt"},
    "lt": {"number": "=lt", "date": "=lt", "quantity": "=lt"},
    "ge": {"number": "=ge", "date": "=ge", "quantity": "=ge"},
    "le": {"number": "=le", "date": "=le", "quantity": "=le"},
    "ap": {"number": "=ap", "date": "=ap", "quantity": "=ap"},
    "sa": {"number": "=sa", "date": "=sa", "quantity": "=sa"},
    "eb": {"number": "=eb", "date": "=eb", "quantity": "=eb"},
    "pr": dict.fromkeys(ORDINARY, "!:missing="),
    "po": {"date": "=po"},
    "ss": {"token": ":below="},
    "sb": {"token": ":above="},
    "in": {"token": ":in="},
    "ni": {"token": ":not-in="},
    "re": {"reference": "="},
}  # fmt: skip
LATER = {("gt", "string"), ("lt", "string"), ("ge", "string"), ("le", "string"), ("co", "number")}


def shown(operator: str, parameter_type: str) -> str:
    modifier, prefix, is_negated = ordinary(operator, parameter_type)
    return f"{'!' * is_negated}{':' * bool(modifier)}{modifier}={prefix}"


@pytest.mark.parametrize("parameter_type", TYPES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_on_every_type(operator: str, parameter_type: str) -> None:
    if parameter_type in TABLE[operator]:
        assert shown(operator, parameter_type) == TABLE[operator][parameter_type]
        return
    with pytest.raises(Malformed) as refusal:
        ordinary(operator, parameter_type)
    assert refusal.value.is_unsupported == ((operator, parameter_type) in LATER)
    assert operator in refusal.value.text
    assert parameter_type in refusal.value.text


@pytest.mark.parametrize("parameter_type", ["composite", "special"])
def test_other_types_have_no_operators(parameter_type: str) -> None:
    for operator in OPERATORS:
        with pytest.raises(Malformed, match="means nothing"):
            ordinary(operator, parameter_type)


def test_every_type_that_can_be_searched_has_operators_save_for_places() -> None:
    assert {*ORDINARY, "special"} == set(TYPES)


def test_a_value_for_what_has_prefixes_is_never_taken_for_one() -> None:
    """`birthdate eq gt2014` must not become `birthdate=gt2014`."""
    for parameter_type in ("date", "number", "quantity"):
        for means in ORDINARY[parameter_type].values():
            assert means.prefix in INTERNAL or cut(f"{means.prefix}gt1") == (means.prefix, "gt1")


@pytest.mark.parametrize(
    ("parameter_type", "value", "written"),
    [
        # "loinc, snomed, rxnorm and ucum are predefined"
        ("token", "loinc|1234-5", "http://loinc.org|1234-5"),
        ("token", "LOINC|1234-5", "http://loinc.org|1234-5"),
        ("token", "snomed|", "http://snomed.info/sct|"),
        ("token", "rxnorm|1", "http://www.nlm.nih.gov/research/umls/rxnorm|1"),
        ("quantity", "5.4|ucum|mg", "5.4|http://unitsofmeasure.org|mg"),
        ("token", "loinc", "loinc"),
        ("token", "http://here|loinc", "http://here|loinc"),
        ("token", "|loinc", "|loinc"),
        ("quantity", "5.4", "5.4"),
        ("quantity", "5.4||mg", "5.4||mg"),
        # "the format is the same as the existing search parameter"
        ("token", r"here|a\|b", r"here|a\|b"),
        ("string", r"a\b, c|d $", r"a\\b\, c\|d \$"),
        ("uri", "http://here|1.0", r"http://here\|1.0"),
        ("reference", "Observation/4", "Observation/4"),
        ("date", "2014-10-10", "2014-10-10"),
    ],
)
def test_values(parameter_type: str, value: str, written: str) -> None:
    assert ordinary_value(value, parameter_type) == written
    if parameter_type not in ("token", "quantity"):
        assert unescape(written) == value
