"""Tokens taken apart: whatever comes, it is refused or it is what was signed."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tokens import signed as made
from ehr_server.admission.keys import keys_of
from ehr_server.admission.own import new_key, public
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import check_signature, taken_apart

KEY = new_key()
(CHECKING,) = keys_of({"keys": [public(KEY)]})
TOKEN = made({"sub": "lan", "exp": 2_000_000_000}, KEY)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _decoded(token: str) -> list[bytes]:
    return [urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]


def _part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _looked_at(token: str) -> dict[str, Any]:
    signed = taken_apart(token, {"jwt"})
    check_signature(signed, CHECKING)
    return signed.claims


def test_what_was_signed_is_read() -> None:
    assert _looked_at(TOKEN) == {"sub": "lan", "exp": 2_000_000_000}


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(LETTERS + ".=+/ \n"))
def test_another_letter_is_refused(at: int, letter: str) -> None:
    """But for the last bits of a part, which stand for nothing (RFC 4648, 3.5)."""
    other = TOKEN[:at] + letter + TOKEN[at + 1 :]
    try:
        claims = _looked_at(other)
    except Rejected:
        return
    assert _decoded(other) == _decoded(TOKEN)
    assert claims == _looked_at(TOKEN)


@given(st.text(max_size=300) | st.text(LETTERS + ".", max_size=300))
def test_whatever_comes_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        _looked_at(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku", "jwk", "x5c", "x"])


@given(st.dictionaries(NAMES, JSON | st.sampled_from(["ES256", "RS256", "HS256", "none"])), JSON)
def test_whatever_a_header_holds_is_refused(header: dict[str, Any], claims: Any) -> None:
    """Also a key that it brings along (`jwk`), or an address of one (`jku`)."""
    head = _part(header)
    with pytest.raises(Rejected):
        _looked_at(f"{head}.{_part(claims)}.{TOKEN.split('.')[2]}")
