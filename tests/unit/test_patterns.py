"""Patterns in linear time, and the few by which something is replaced."""

import time

import pytest

from ehr_server.patterns import matcher, replacer


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)+$", "(a*)*b", "a*a*a*a*a*c"])
def test_no_pattern_takes_more_than_its_time(pattern: str) -> None:
    text = "a" * 100_000 + "!"
    before = time.process_time()
    assert matcher(pattern)(text) is False
    assert time.process_time() - before < 0.1


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1", "(", "[", "a**"])
def test_what_the_engine_does_not_hold_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="lookaround"):
        matcher(pattern)


def test_a_dot_is_any_character() -> None:
    assert matcher("^a.b$")("a\nb")
    assert not matcher("^a[.]b$")("a\nb")
    assert not matcher(r"^a\.b$")("a\nb")
    assert matcher(r"^\w(\[x])?$")("a[x]")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"\..*", "a"), ("[^0-9]", "12"), ("[^0-9]+", "12"), ("a", ".b.12"), (r"[\]\d]", "a.b.a")],
)
def test_replacing(pattern: str, expected: str) -> None:
    assert replacer(pattern, "")("a.b.12a") == expected


@pytest.mark.parametrize("pattern", ["a*b", "(a)", "a|b", "a{2}", "a+?", "[b-a]", "^a"])
def test_replacing_holds_no_more(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expression|replacing"):
        replacer(pattern, "")
