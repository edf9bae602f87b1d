"""What is sought, and PostgreSQL's syntax for it."""

import pytest

from ehr_server.search.sought import read, tsquery


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("viêm", "('viem')"),
        ("viêm phổi", "(('viem') & ('phoi'))"),
        ("viêm and phổi", "(('viem') & ('phoi'))"),
        ('"Viêm phổi"', "('viem' <-> 'phoi')"),
        ('"viêm phổi*"', "('viem' <-> 'phoi':*)"),
        ("x-quang ti*", "(('x' <-> 'quang') & ('ti':*))"),
        ("a OR b c", "(('a') | (('b') & ('c')))"),
        ("(a or b) c", "((('a') | ('b')) & ('c'))"),
        ("a -b", "(('a') & !(('b')))"),
        ("a NOT (b OR c)", "(('a') & !((('b') | ('c'))))"),
        ("a --b", "(('a') & !(!(('b'))))"),
        ("a - b / c", "(('a') & ('b') & ('c'))"),
        ("not a", "(('not') & ('a'))"),
        ("a' | !b:*A \\'", "(('a') & ('b' <-> 'a'))"),
    ],
)
def test_a_search_becomes_a_tsquery(text: str, query: str) -> None:
    assert tsquery(read(text)) == query


def test_the_narrative_is_a_weight() -> None:
    assert tsquery(read('"a b*"'), "A") == "('a':A <-> 'b':*A)"
