"""Keys of a JWK set: https://www.rfc-editor.org/rfc/rfc7517, https://www.rfc-editor.org/rfc/rfc7638."""

from threading import Barrier, Event, Thread
from typing import Any

import pytest

from ehr_server.admission.keys import KeysError, KeySource, Pace, keys_of
from ehr_server.admission.own import new_key, public
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import Signed

# RFC 7638, 3.1: an example, with its thumbprint.
EXAMPLE = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJ"
    "ECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz"
    "qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0"
    "fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def _signed(algorithm: str, kid: object = None) -> Signed:
    header: dict[str, Any] = {"alg": algorithm} | ({} if kid is None else {"kid": kid})
    return Signed("", header, {})


def test_the_thumbprint_of_the_standard() -> None:
    (key,) = keys_of({"keys": [EXAMPLE]})
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert key.kid == "2011-04-29"


@pytest.mark.parametrize(
    ("kind", "size", "fitting"),
    [
        ("EC", "P-256", {"ES256"}),
        ("EC", "P-384", {"ES384"}),
        ("EC", "P-521", {"ES512"}),
        ("OKP", "Ed25519", {"EdDSA"}),
        ("RSA", 2048, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ],
)
def test_a_key_is_for_its_own_algorithms(kind: str, size: str | int, fitting: set[str]) -> None:
    """RFC 8725, 3.1: "each key MUST be used with exactly one algorithm", where it names one."""
    (key,) = keys_of({"keys": [public(new_key(kind, size))]})
    every = {"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384"}
    every |= {"PS512", "HS256", "none"}
    assert {one for one in every if key.fits(one)} == fitting
    (named,) = keys_of({"keys": [{**public(new_key(kind, size)), "alg": min(fitting)}]})
    assert {one for one in every if named.fits(one)} == {min(fitting)}


@pytest.mark.parametrize("value", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [1, None]}])
def test_what_is_no_set(value: object) -> None:
    with pytest.raises(KeysError):
        keys_of(value)


def test_what_is_of_another_kind_is_left_out() -> None:
    """RFC 7517, 5: implementations "SHOULD ignore JWKs … that use "kty" values not understood"."""
    good = public(new_key())
    others = [{"kty": "oct", "k": "eA"}, {"kty": "AKP"}, {"kty": ["RSA"]}]
    others += [{**public(new_key()), "use": "enc"}]
    assert [key.kid for key in keys_of({"keys": [*others, good]})] == [good["kid"]]


def test_without_kid_the_only_key_that_fits_is_meant() -> None:
    keys = [public(new_key()), public(new_key("EC", "P-384"))]
    source = KeySource("a", lambda: {"keys": keys})
    assert source.key_of(_signed("ES384")).kid == keys[1]["kid"]
    keys.append(public(new_key("EC", "P-384")))
    with pytest.raises(Rejected):
        KeySource("a", lambda: {"keys": keys}).key_of(_signed("ES384"))
    for kid in (5, ["x"], ""):
        with pytest.raises(Rejected):
            source.key_of(_signed("ES384", kid))


def test_one_asks_and_the_others_go_on() -> None:
    """While a provider is slow, tokens signed by keys that are known wait for nothing."""
    key, asked, going = public(new_key()), Event(), Event()
    count = 0

    def load() -> object:
        nonlocal count
        count += 1
        if count > 1:
            asked.set()
            assert going.wait(10)
        return {"keys": [key]}

    source = KeySource("a", load, pace=Pace(again_s=0))
    assert source.key_of(_signed("ES256", key["kid"])).kid == key["kid"]

    def unknown() -> None:
        with pytest.raises(Rejected):
            source.key_of(_signed("ES256", "unknown"))

    slow = Thread(target=unknown)
    slow.start()
    assert asked.wait(10)
    assert source.key_of(_signed("ES256", key["kid"])).kid == key["kid"]
    unknown()  # neither asks nor waits
    going.set()
    slow.join(10)
    assert count == 2


def test_at_the_start_all_wait_for_the_first_answer() -> None:
    key, together = public(new_key()), Barrier(5)
    count, found = 0, []

    def load() -> object:
        nonlocal count
        count += 1
        return {"keys": [key]}

    source = KeySource("a", load)

    def ask() -> None:
        together.wait(10)
        found.append(source.key_of(_signed("ES256", key["kid"])).kid)

    threads = [Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [key["kid"]] * 5
    assert count == 1
