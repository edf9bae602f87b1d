"""The grammar of `_filter`: https://hl7.org/fhir/R4/search_filter.html#intro"""

import json
import re
from contextlib import suppress
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ehr_server.search.filter import (
    COMPARISONS_MAX,
    DEPTH_MAX,
    OPERATORS,
    Comparison,
    Conjunction,
    Disjunction,
    Negation,
    Node,
    Step,
    read,
)
from ehr_server.search.malformed import Malformed


def compared(path: str, operator: str, value: str) -> Comparison:
    return Comparison(tuple(Step(name) for name in path.split(".")), operator, value)


A, B, C, D = (compared(name, "eq", "1") for name in "abcd")


def related(operator: str, value: str) -> Comparison:
    where = compared("type", "eq", "has-component")
    return Comparison((Step("related", where), Step("target")), operator, value)


STANDARDS_OWN = [
    ('name co "pet"', compared("name", "co", "pet")),
    (
        'given eq "peter" and birthdate ge 2014-10-10',
        Conjunction((compared("given", "eq", "peter"), compared("birthdate", "ge", "2014-10-10"))),
    ),
    ("code eq http://loinc.org|1234-5", compared("code", "eq", "http://loinc.org|1234-5")),
    ('subject.name co "pet"', compared("subject.name", "co", "pet")),
    ('related[type eq "has-component"].target pr true', related("pr", "true")),
    ("related[type eq has-component].target re Observation/4", related("re", "Observation/4")),
]


@pytest.mark.parametrize(("text", "tree"), STANDARDS_OWN)
def test_the_examples_of_the_standard(text: str, tree: Node) -> None:
    assert read(text) == tree


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_of_the_standard(operator: str) -> None:
    """https://hl7.org/fhir/R4/search_filter.html#ops"""
    assert read(f"a {operator} true") == compared("a", operator, "true")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a eq 1 and b eq 1", Conjunction((A, B))),
        ("a eq 1 or b eq 1", Disjunction((A, B))),
        ("a eq 1 and b eq 1 and c eq 1", Conjunction((A, B, C))),
        # "evaluated left to right, with no precedence between and and or"
        ("a eq 1 and b eq 1 or c eq 1", Disjunction((Conjunction((A, B)), C))),
        ("a eq 1 or b eq 1 and c eq 1", Conjunction((Disjunction((A, B)), C))),
        (
            "a eq 1 or b eq 1 and c eq 1 or d eq 1",
            Disjunction((Conjunction((Disjunction((A, B)), C)), D)),
        ),
        # "if there is ambiguity, use parentheses to be explicit"
        ("a eq 1 or (b eq 1 and c eq 1)", Disjunction((A, Conjunction((B, C))))),
        ("(a eq 1 or b eq 1) or c eq 1", Disjunction((Disjunction((A, B)), C))),
        ("(a eq 1)", A),
        ("(((a eq 1)))", A),
        ("not(a eq 1)", Negation(A)),
        ("not (a eq 1)", Negation(A)),
        ("not(a eq 1) and b eq 1", Conjunction((Negation(A), B))),
        ("a eq 1 and not(b eq 1 or c eq 1)", Conjunction((A, Negation(Disjunction((B, C)))))),
        ("not(not(a eq 1))", Negation(Negation(A))),
        # space, where there may be some
        ("  ( a\teq\u00a01 )  and\nb eq 1 ", Conjunction((A, B))),
        ("(a eq 1)and(b eq 1)or(c eq 1)", Disjunction((Conjunction((A, B)), C))),
        # words of the grammar where a name or a value stands
        ("not eq not", compared("not", "eq", "not")),
        ("and eq or and b eq 1", Conjunction((compared("and", "eq", "or"), B))),
        ("or eq and or b eq 1", Disjunction((compared("or", "eq", "and"), B))),
        ("eq eq eq", compared("eq", "eq", "eq")),
        ("notes eq 1", compared("notes", "eq", "1")),
    ],
)  # fmt: skip
def test_logical_expressions(text: str, tree: Node) -> None:
    assert read(text) == tree


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("_id eq 1", (Step("_id"),)),
        ("address-city eq 1", (Step("address-city"),)),
        ("a.b.c eq 1", (Step("a"), Step("b"), Step("c"))),
        ("a[ b eq 1 ].c eq 1", (Step("a", B), Step("c"))),
        ("a[b eq 1].c[d eq 1].e eq 1", (Step("a", B), Step("c", D), Step("e"))),
        (
            "a[b eq 1 or not(c eq 1)].d eq 1",
            (Step("a", Disjunction((B, Negation(C)))), Step("d")),
        ),
        (
            "a[b[c eq 1].d eq 1].e eq 1",
            (Step("a", Comparison((Step("b", C), Step("d")), "eq", "1")), Step("e")),
        ),
    ],
)
def test_paths(text: str, path: tuple[Step, ...]) -> None:
    assert read(text) == Comparison(path, "eq", "1")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2014-10-10T12:00:00+07:00", "2014-10-10T12:00:00+07:00"),
        ("-5.40", "-5.40"),
        ("5.4|http://unitsofmeasure.org|mg", "5.4|http://unitsofmeasure.org|mg"),
        ("|code", "|code"),
        ("true", "true"),
        ("Nguyễn", "Nguyễn"),
        # a token is all but space, ] and )
        ("a(b[c", "a(b[c"),
        ('a"b\\c,d', 'a"b\\c,d'),
        # while a string may hold those too
        ('"a b) and ]"', "a b) and ]"),
        ('""', ""),
        ('"loinc|1"', "loinc|1"),
        # a JSON string
        (r'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'),
        (r'"\u1ec5 \uD83D\ude00 \\u0000"', "ễ 😀 \\u0000"),
        ('"😀{{["', "😀{{["),
    ],
)
def test_values(written: str, value: str) -> None:
    assert read(f"a eq {written}") == compared("a", "eq", value)
    assert read(f"(a eq {written})and b eq 1") == Conjunction((compared("a", "eq", value), B))


def test_a_value_of_presence_is_not_case_sensitive() -> None:
    assert read("a pr TRUE") == compared("a", "pr", "true")
    assert read('a pr "False"') == compared("a", "pr", "false")


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 1, "the name of a parameter or ("),
        ("   ", 4, "the name of a parameter or ("),
        ("ễ eq 1", 1, "the name of a parameter or ("),
        ("1a eq 1", 1, "the name of a parameter or ("),
        ("()", 2, "the name of a parameter or ("),
        ("a eq 1 and", 11, "the name of a parameter or ("),
        ("a eq 1 and or b eq 1", 15, "one of eq, ne"),
        ("a", 2, "a space, . or ["),
        ("a:b eq 1", 2, "a space, . or ["),
        ('a"x"', 2, "a space, . or ["),
        ("a.", 3, "the name of a parameter"),
        ("a..b eq 1", 3, "the name of a parameter"),
        ("a. b eq 1", 3, "the name of a parameter"),
        # "they must have a filter and a chained name under them"
        ("a[b eq 1] eq 1", 10, ". and the name of a parameter"),
        ("a[b eq 1]", 10, ". and the name of a parameter"),
        ("a[b eq 1", 9, "and, or or ]"),
        ("a[b eq 1).c eq 1", 9, "and, or or ]"),
        ("a[].b eq 1", 3, "the name of a parameter or ("),
        ("a ", 3, f"one of {', '.join(OPERATORS)} is expected"),
        ("a is 1", 3, "one of eq, ne"),
        ("a EQ 1", 3, "one of eq, ne"),
        ("a eq1", 3, "one of eq, ne"),
        ("not a eq 1", 5, "one of eq, ne"),
        ("a eq", 5, "a value"),
        ("a eq ", 6, "a value"),
        ("(a eq )", 7, "a value"),
        ("a eq \x00", 6, "a value"),
        ("a pr", 5, "a value"),
        ("a pr yes", 6, "true or false"),
        ("a pr 1 and b eq 1", 6, "true or false"),
        ('a eq "x', 8, "a character of a JSON string or \""),
        ('a eq "x\ty"', 8, "a character of a JSON string or \""),
        (r'a eq "\x"', 7, "a character of a JSON string or \""),
        (r'a eq "\u12"', 7, "a character of a JSON string or \""),
        (r'a eq "x\u0000"', 8, "a character of a JSON string or \""),
        (r'a eq "\ud83dx"', 7, "a character of a JSON string or \""),
        (r'a eq "\ude00"', 7, "a character of a JSON string or \""),
        ('a eq "\ud83d"', 7, "a character of a JSON string or \""),
        ("(a eq 1", 8, "and, or or )"),
        ("(a eq 1]", 8, "and, or or )"),
        ("a eq 1)", 7, "and, or or the end"),
        ("a eq 1 b eq 1", 8, "and, or or the end"),
        ("a eq 1 andb eq 1", 8, "and, or or the end"),
        ("a eq 1 AND b eq 1", 8, "and, or or the end"),
        ('a eq "1"1', 9, "and, or or the end"),
        ("a eq 1\x00", 7, "and, or or the end"),
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_is_refused_with_its_place(
    text: str, at: int, expected: str
) -> None:
    with pytest.raises(Malformed) as refusal:
        read(text)
    assert f"at character {at} {expected}" in refusal.value.text
    assert f"ký tự thứ {at} " in refusal.value.vi


def test_a_refusal_never_repeats_a_value() -> None:
    for text in ('name eq "Nguyễn', "name eq Nguyễn)", "name eq (Nguyễn) x", "name pr Nguyễn"):
        with pytest.raises(Malformed) as refusal:
            read(text)
        assert "Nguyễn" not in refusal.value.text + refusal.value.vi


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("not(", ")"), ("a[", "].a eq 1"), ("a.", "")],
)
def test_nesting_has_a_limit(opening: str, closing: str) -> None:
    read(opening * DEPTH_MAX + "a eq 1" + closing * DEPTH_MAX)
    deeper = DEPTH_MAX + 1
    at = deeper * len(opening)
    with pytest.raises(Malformed, match=f"more than {DEPTH_MAX} deep at character {at}$"):
        read(opening * deeper + "a eq 1" + closing * deeper)


def test_comparisons_have_a_limit() -> None:
    for word in (" and ", " or "):
        node = read(word.join(["a eq 1"] * COMPARISONS_MAX))
        assert isinstance(node, Conjunction | Disjunction)
        assert len(node.parts) == COMPARISONS_MAX
    pair = "a[b eq 1].c eq 1 and "
    at = len(pair) * COMPARISONS_MAX // 2 + 1
    with pytest.raises(
        Malformed, match=f"more than {COMPARISONS_MAX} comparisons at character {at}$"
    ):
        read(pair * (COMPARISONS_MAX // 2) + "a eq 1")


@pytest.mark.parametrize(
    "text",
    [
        *(piece * 200_000 for piece in ("(", "not(", "not ", "a[", "a.", "a[b eq 1].", " ", '"')),
        *("a eq 1" + piece * 200_000 for piece in (" and a eq 1", " or(", " ", ")", "\\")),
        *('a eq "' + piece * 200_000 for piece in ("\\", "\\\\", "\\u", "\\ud83d", "x")),
    ],
)
def test_a_hostile_text_costs_little(text: str) -> None:
    start = process_time()
    with suppress(Malformed):
        read(text)
    assert process_time() - start < 0.5


def shown(node: Node) -> str:
    """A filter with this tree, with the brackets that it needs."""
    match node:
        case Comparison(path, operator, value):
            return f"{'.'.join(map(shown_step, path))} {operator} {json.dumps(value)}"
        case Negation(operand):
            return f"not({shown(operand)})"
        case Conjunction((first, *others)):
            return " and ".join([beginning(first, Disjunction), *map(part, others)])
        case Disjunction((first, *others)):
            return " or ".join([beginning(first, Conjunction), *map(part, others)])
    raise AssertionError(node)


def shown_step(step: Step) -> str:
    return step.name if step.where is None else f"{step.name}[{shown(step.where)}]"


def part(node: Node) -> str:
    return f"({shown(node)})" if isinstance(node, Conjunction | Disjunction) else shown(node)


def beginning(node: Node, other: type[Node]) -> str:
    """What comes first needs no brackets if it is joined by the other word: left to right."""
    return shown(node) if isinstance(node, other) else part(node)


NAMES = st.from_regex(re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,5}"), fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=9)


def comparisons(where: st.SearchStrategy[Node | None]) -> st.SearchStrategy[Comparison]:
    steps = st.lists(st.builds(Step, NAMES, where), max_size=2)
    path = st.builds(lambda first, last: (*first, Step(last)), steps, NAMES)
    operators = st.sampled_from([name for name in OPERATORS if name != "pr"])
    return st.builds(Comparison, path, operators, VALUES) | st.builds(
        Comparison, path, st.just("pr"), st.sampled_from(["true", "false"])
    )


def larger(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    return (
        st.builds(Negation, nodes)
        | st.builds(Conjunction, parts)
        | st.builds(Disjunction, parts)
        | comparisons(st.none() | nodes)
    )


TREES = st.recursive(comparisons(st.none()), larger, max_leaves=12)
PIECES = st.sampled_from(
    (" ", "a", "b", ".", "[", "]", "(", ")", "not", " and ", " or ", " eq ", " pr ", "true", "1",
     '"', '"x y"', "\\", "\\u00e9", "\ud83d", "a eq 1", "a[b eq 1].c eq 1", "not(a eq 1)")
)  # fmt: skip


@given(TREES)
def test_a_tree_that_is_shown_and_read_again_is_the_same(tree: Node) -> None:
    assert read(shown(tree)) == tree


@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
@example(" or ".join(["a eq 1 and b eq 1"] * 50))
@example("a eq " + "(" * 2000)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = read(text)
    except Malformed as refusal:
        assert re.search(r"at character \d+", refusal.text)  # noqa: PT017
        assert re.search(r"ký tự thứ \d+", refusal.vi)  # noqa: PT017
    else:
        assert read(shown(tree)) == tree
