"""Texts in links that nobody may read."""

from base64 import urlsafe_b64decode

import pytest

from ehr_server.sealing import seal, unseal

KEY = bytes(range(32))
NUMBER = b"001174000456"


def test_a_token_gives_back_what_was_sealed_and_shows_nothing_of_it() -> None:
    token = seal(NUMBER, b"a search", KEY)
    assert unseal(token, b"a search", KEY) == NUMBER
    assert NUMBER not in urlsafe_b64decode(token + "==")


def test_two_tokens_of_the_same_are_not_the_same() -> None:
    assert seal(NUMBER, b"a search", KEY) != seal(NUMBER, b"a search", KEY)


@pytest.mark.parametrize("at", [0, 5, 20])
def test_a_token_that_was_changed_is_refused(at: int) -> None:
    sealed = seal(NUMBER, b"a search", KEY)
    letter = "A" if sealed[at] != "A" else "B"
    changed = sealed[:at] + letter + sealed[at + 1 :]
    with pytest.raises(ValueError, match="not sealed"):
        unseal(changed, b"a search", KEY)


def test_a_token_is_good_for_its_purpose_and_key_alone() -> None:
    token = seal(NUMBER, b"a search", KEY)
    for purpose, key in ((b"another", KEY), (b"a search", bytes(32))):
        with pytest.raises(ValueError, match="not sealed"):
            unseal(token, purpose, key)


@pytest.mark.parametrize("token", ["", "A", "AAAA", "no token at all", "ế", "*" * 60])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unseal(token, b"a search", KEY)
