"""The token endpoint for programs: SMART Backend Services.

https://hl7.org/fhir/smart-app-launch/backend-services.html,
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from joserfc import jwk, jwt

from api.tokens import Machine, bearer, machine, settings, signed
from databases import open_folder
from ehr_server import clock
from ehr_server.admission.own import new_key, public
from ehr_server.store import clients as kept
from provider import providing
from servers import Server, serving


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    with open_folder() as folder, serving(module_database, **settings(folder)) as started:
        yield started


@pytest.fixture
def one(module_database: str) -> Machine:
    return machine(module_database, scopes=["system/Patient.rs", "system/Observation.cruds"])


def _error(answer: httpx.Response) -> str:
    """RFC 6749, 5.2; RFC 9110, 15.5.2: "The server generating a 401 response MUST send a
    WWW-Authenticate header field"."""
    assert (answer.status_code == 401) == ("WWW-Authenticate" in answer.headers)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"error", "error_description"}
    return str(answer.json()["error"])


def _kept(database_url: str, client: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select count(*) from assertion where client = %s", (client,))
        return int((row.fetchone() or (0,))[0])


def test_a_token_as_the_standard_has_it(one: Machine, server: Server) -> None:
    """backend-services: access_token, token_type bearer, expires_in "SHALL NOT exceed 300", scope;
    RFC 6749, 5.1: Cache-Control no-store."""
    answer = one.ask(server, "system/Patient.rs")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (told["token_type"], told["expires_in"]) == ("bearer", 300)
    assert told["scope"] == "system/Patient.rs"
    assert answer.headers["Cache-Control"] == "no-store"
    headers = bearer(told["access_token"])
    assert httpx.get(f"{server.fhir}/Patient", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.read", "system/Patient.read"),  # of the first version: rs
        ("system/*.rs", "system/Patient.rs system/Observation.rs"),
        ("system/Patient.cruds", "system/Patient.rs"),
        ("system/Patient.rs system/Encounter.rs", "system/Patient.rs"),
        ("system/Observation.r?category=laboratory", "system/Observation.r?category=laboratory"),
        ("", "system/Patient.rs system/Observation.cruds"),
    ],
)
def test_scopes_are_granted_as_far_as_they_are_registered(
    asked: str, granted: str, one: Machine, server: Server
) -> None:
    """backend-services, 3.2.2: "the set of scopes granted … may be narrower"."""
    assert one.ask(server, asked).json()["scope"] == granted


@pytest.mark.parametrize("asked", ["system/Encounter.rs", "user/Patient.rs", "patient/*.rs", "x"])
def test_what_is_not_registered_is_not_granted(asked: str, one: Machine, server: Server) -> None:
    answer = one.ask(server, asked)
    assert (answer.status_code, _error(answer)) == (400, "invalid_scope")


@pytest.mark.parametrize("kind", ["ES384", "RS384", "RS256", "PS384"])
def test_the_algorithms_of_the_standard(kind: str, module_database: str, server: Server) -> None:
    """A server validates signatures "with at least one of RS384 or ES384"; this one with both."""
    plain = machine(module_database)
    key = new_key("EC", "P-384") if kind == "ES384" else new_key("RSA", 2048)
    with psycopg.connect(module_database, autocommit=True) as connection:
        registered = [{**public(key), "until": None}]
        assert kept.rekey(connection, plain.id, registered, None)
    assert plain.with_key(key, kind).token(server)


def test_an_assertion_is_good_once(one: Machine, server: Server, module_database: str) -> None:
    """ "jti … a nonce string value that uniquely identifies this authentication JWT"."""
    assertion = one.assertion(server)
    assert one.ask(server, client_assertion=assertion).status_code == 200
    again = one.ask(server, client_assertion=assertion)
    assert (again.status_code, _error(again)) == (401, "invalid_client")
    assert _kept(module_database, one.id) == 1


@pytest.fixture(scope="module")
def several(module_database: str) -> Iterator[Server]:
    """A server of two processes."""
    with (
        open_folder() as folder,
        serving(module_database, workers="2", **settings(folder)) as started,
    ):
        yield started


def test_of_twenty_at_once_one_wins(one: Machine, several: Server) -> None:
    """Whichever of several processes they come to."""
    assertion = one.assertion(several)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(one.ask, several, client_assertion=assertion) for _ in range(20)]
        found = Counter(answer.result().status_code for answer in answers)
    assert found == {200: 1, 401: 19}


def test_who_is_revoked_is_so_in_every_process(
    one: Machine, several: Server, module_database: str
) -> None:
    headers = bearer(one.token(several))

    def statuses() -> Counter[int]:
        asked = (httpx.get(f"{several.fhir}/Patient", headers=headers) for _ in range(20))
        return Counter(answer.status_code for answer in asked)  # each over a connection of its own

    assert statuses() == {200: 20}
    with psycopg.connect(module_database, autocommit=True) as connection:
        assert kept.revoke(connection, one.id, clock.now())
    time.sleep(1.05)
    assert statuses() == {401: 20}


def test_keys_may_be_at_an_address(module_database: str, server: Server) -> None:
    """ "URL to JWK Set (preferred)": the client may change its keys itself."""
    plain = machine(module_database)
    with providing() as published:
        address = f"{published.issuer}/protocol/openid-connect/certs"
        with psycopg.connect(module_database, autocommit=True) as connection:
            assert kept.rekey(connection, plain.id, (), address)
        for _ in range(3):
            assert plain.with_key(published.keys[0]).token(server)
        assert published.asked.total() == 1
        assert plain.ask(server).status_code == 401  # the key that it had


def test_no_key_is_fetched_from_where_an_assertion_says(one: Machine, server: Server) -> None:
    """A `jku` that is not registered is the address of a stranger."""
    with providing() as strange:
        address = f"{strange.issuer}/protocol/openid-connect/certs"
        (key,) = strange.keys
        now = int(time.time())
        claims = {"iss": one.id, "sub": one.id, "aud": f"{server.url}/auth/token", "jti": "x"}
        assertion = signed(claims | {"exp": now + 60}, key, jku=address)
        assert _error(one.ask(server, client_assertion=assertion)) == "invalid_client"
        assert not strange.asked


def test_two_clients_may_use_the_same_jti(module_database: str, server: Server) -> None:
    jti = str(uuid4())
    for one in (machine(module_database), machine(module_database)):
        assertion = one.assertion(server, jti=jti)
        assert one.ask(server, client_assertion=assertion).status_code == 200


def _bad(**claims: Any) -> Callable[[Machine, Server], str]:
    return lambda one, server: one.assertion(server, **claims)


def _ahead(seconds: int) -> int:
    return int(time.time()) + seconds


BAD: dict[str, Callable[[Machine, Server], str]] = {
    "lives too long": lambda one, server: one.assertion(server, exp=_ahead(400)),
    "lives for ever": _bad(exp=None),
    "expired": lambda one, server: one.assertion(server, exp=_ahead(-60)),
    "of the future": lambda one, server: one.assertion(server, nbf=_ahead(100), exp=_ahead(200)),
    "for another server": _bad(aud="https://other.example.vn/auth/token"),
    "for the FHIR base": lambda one, server: one.assertion(server, aud=server.fhir),
    "for two": lambda one, server: one.assertion(
        server, aud=[f"{server.url}/auth/token", "https://other.example.vn"]
    ),
    "without jti": _bad(jti=None),
    "jti that is no text": _bad(jti=5),
    "jti without an end": _bad(jti="x" * 513),
    "in another's name": _bad(sub="somebody"),
    "of nobody": _bad(iss="nobody", sub="nobody"),
    "iss that is no text": _bad(iss={"a": 1}),
    "by another key": lambda one, server: one.with_key(
        {**new_key(), "kid": one.key["kid"]}
    ).assertion(server),
    "by an unknown key": lambda one, server: one.with_key(new_key()).assertion(server),
    "with NUL in it": _bad(jti="a\0b"),
    "garbage": lambda one, server: "garbage",
    "a token of ours": lambda one, server: one.token(server),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_assertion_is_refused(name: str, one: Machine, server: Server) -> None:
    answer = one.ask(server, client_assertion=BAD[name](one, server))
    assert (answer.status_code, _error(answer)) == (401, "invalid_client")


def test_what_was_refused_is_not_kept(one: Machine, server: Server, module_database: str) -> None:
    """Else anybody could fill the table, or use up another's jti."""
    jti = str(uuid4())
    for bad in (
        one.with_key({**new_key(), "kid": one.key["kid"]}).assertion(server, jti=jti),
        one.assertion(server, jti=jti, exp=_ahead(400)),
    ):
        assert one.ask(server, client_assertion=bad).status_code == 401
    assert _kept(module_database, one.id) == 0
    good = one.assertion(server, jti=jti)
    assert one.ask(server, client_assertion=good).status_code == 200


def test_the_header_host_does_not_say_whom_an_assertion_is_for(
    one: Machine, server: Server
) -> None:
    """Anybody can write it: an assertion for another server would be taken here."""
    assertion = one.assertion(server, aud="http://other.example.vn/auth/token")
    answer = httpx.post(
        f"{server.url}/auth/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        },
        headers={"Host": "other.example.vn"},
    )
    assert _error(answer) == "invalid_client"


def test_a_revoked_client_gets_no_token(one: Machine, server: Server, module_database: str) -> None:
    one.token(server)
    with psycopg.connect(module_database, autocommit=True) as connection:
        assert kept.revoke(connection, one.id, clock.now())
    assert _error(one.ask(server)) == "invalid_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:other"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
    ],
)
def test_a_bad_form_is_refused(
    form: dict[str, str], error: str, one: Machine, server: Server
) -> None:
    """RFC 6749, 5.2."""
    assert _error(one.ask(server, **form)) == error


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", "application/x-www-form-urlencoded"),
        ("grant_type=client_credentials&grant_type=x", "application/x-www-form-urlencoded"),
        ("grant_type=%FF", "application/x-www-form-urlencoded"),
        ("grant_type=é", "application/x-www-form-urlencoded"),
        ("&" * 2_000, "application/x-www-form-urlencoded"),
        (json.dumps({"grant_type": "client_credentials"}), "application/json"),
    ],
)
def test_what_is_no_form_is_refused(body: str, kind: str, server: Server) -> None:
    """RFC 6749, 3.2: parameters "MUST NOT be included more than once"."""
    answer = httpx.post(
        f"{server.url}/auth/token", content=body.encode(), headers={"Content-Type": kind}
    )
    assert (answer.status_code, _error(answer)) == (400, "invalid_request")


def test_a_form_without_an_end_is_refused(server: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{server.url}/auth/token", content=b"x" * 70_000, headers=headers)
    assert (answer.status_code, _error(answer)) == (413, "invalid_request")


def test_our_keys_are_published(one: Machine, server: Server) -> None:
    """What checks our tokens, and no secret."""
    (key,) = httpx.get(f"{server.url}/auth/jwks").json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    found = jwt.decode(one.token(server), jwk.import_key(key), ["ES256"])
    assert found.header["typ"] == "at+jwt"  # RFC 9068, 2.1
    assert found.claims["client_id"] == found.claims["sub"] == one.id
    assert found.claims["exp"] - found.claims["iat"] == 300


def test_tokens_outlive_a_new_signing_key(
    one: Machine, server: Server, module_database: str
) -> None:
    """`ehr-server client rotate-own`: what is in use stays good, what is new is known at once."""
    before = one.token(server)
    with psycopg.connect(module_database, autocommit=True) as connection:
        kept.rotate_signing_keys(connection, new_key(), clock.now())
    after = one.token(server)
    for token in (before, after):
        answer = httpx.get(f"{server.fhir}/Patient", headers=bearer(token))
        assert answer.status_code == 200, answer.text
    assert len(httpx.get(f"{server.url}/auth/jwks").json()["keys"]) == 2


def test_a_token_of_a_client_is_no_assertion_of_another_kind(one: Machine, server: Server) -> None:
    """RFC 8725, 3.11: an assertion is not taken for an access token either."""
    now = int(time.time())
    here = "http://localhost/fhir"
    claims = {"iss": here, "aud": here, "sub": one.id, "client_id": one.id, "exp": now + 60}
    for token in (one.assertion(server), signed(claims, one.key, typ="at+jwt")):
        answer = httpx.get(f"{server.fhir}/Patient", headers=bearer(token))
        assert answer.status_code == 401
