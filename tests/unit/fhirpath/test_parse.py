"""The tree that an expression becomes, and the place an error names."""

from decimal import Decimal

import pytest

from ehr_server.fhirpath import FHIRPathError
from ehr_server.fhirpath.lexer import tokens
from ehr_server.fhirpath.parse import (
    Indexer,
    Invocation,
    Literal,
    Member,
    Operation,
    Variable,
    parse,
    type_name,
)


def test_a_path_is_a_chain_of_members() -> None:
    assert parse("Patient.name.given") == Member(
        Member(Member(None, "Patient", 0), "name", 8), "given", 13
    )


def test_arguments_are_trees() -> None:
    source = Member(None, "telecom", 0)
    criterion = Operation("=", Member(None, "system", 14), Literal("phone", "string", 21), 20)
    assert parse("telecom.where(system='phone')") == Invocation(source, "where", (criterion,), 8)


def test_union_binds_looser_than_as_and_tighter_than_equality() -> None:
    tree = parse("a as Quantity | b = c")
    assert isinstance(tree, Operation)
    assert tree.operator == "="
    union = tree.left
    assert isinstance(union, Operation)
    assert union.operator == "|"
    assert isinstance(union.left, Operation)
    assert union.left.operator == "as"


def test_operators_of_one_level_are_taken_from_the_left() -> None:
    tree = parse("a or b xor c")
    assert isinstance(tree, Operation)
    assert (tree.operator, tree.at) == ("xor", 7)


@pytest.mark.parametrize(
    ("text", "value", "type_"),
    [
        ("'it\\'s \\u0041\\n'", "it's A\n", "string"),
        ("42", 42, "integer"),
        ("1.50", Decimal("1.50"), "decimal"),
        ("true", True, "boolean"),
        ("@2015-02-04", "2015-02-04", "date"),
        ("@2015-02-04T14:34:28Z", "2015-02-04T14:34:28Z", "dateTime"),
        ("@T14:34", "14:34", "time"),
        ("{}", None, ""),
    ],
)
def test_literals(text: str, value: object, type_: str) -> None:
    assert parse(text) == Literal(value, type_, 0)  # type: ignore[arg-type]


def test_space_and_comments_are_nothing() -> None:
    assert [token.text for token in tokens("a // one\n . /* two\n */ b")] == ["a", ".", "b", ""]


def test_words_for_operators_are_names_where_a_name_is_due() -> None:
    assert parse("contains.as") == Member(Member(None, "contains", 0), "as", 9)
    assert parse("text.`div`") == Member(Member(None, "text", 0), "div", 5)


def test_variables_and_indexers() -> None:
    assert parse("%resource") == Variable("%resource", 0)
    assert parse("$this[0]") == Indexer(Variable("$this", 0), Literal(0, "integer", 6), 5)


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("", 0),
        ("a.", 2),
        ("a..b", 2),
        ("a b", 2),
        ("a.where(b", 9),
        ("a = ", 4),
        ("(a", 2),
        ("a[0", 3),
        ("a ; b", 2),
        ("'open", 0),
        ("{a", 1),
    ],
)
def test_an_error_names_its_place(expression: str, at: int) -> None:
    with pytest.raises(FHIRPathError, match="character") as caught:
        parse(expression)
    assert caught.value.at == at


def test_type_names() -> None:
    assert type_name(parse("Quantity")) == "Quantity"
    assert type_name(parse("FHIR.Patient")) == "Patient"
    assert type_name(parse("System.DateTime")) == "dateTime"
    assert type_name(parse("a.b")) is None
    assert type_name(parse("'Patient'")) is None
