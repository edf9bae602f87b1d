"""Who calls: bearer tokens (RFC 6750), and a server that asks for them.

https://www.rfc-editor.org/rfc/rfc6750, https://www.rfc-editor.org/rfc/rfc7519,
https://www.rfc-editor.org/rfc/rfc8725 (best practices). Whatever is refused leaves nothing behind.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwk, jws

from api.patients import CCCD, fresh_number, resident
from api.tokens import (
    AUDIENCE,
    ISSUER,
    PROVIDER_KEY,
    Machine,
    bearer,
    machine,
    provider_token,
    settings,
    signed,
    token_for,
)
from databases import open_folder
from ehr_server import clock
from ehr_server.admission.own import new_key, public
from ehr_server.store import clients as kept
from servers import Server, client_of, serving


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    with open_folder() as folder, serving(module_database, **settings(folder)) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with client_of(server) as client:
        yield client


@pytest.fixture(scope="module")
def trusted(server: Server) -> dict[str, str]:
    """The header of who may look at everything."""
    return bearer(provider_token(exp=int(time.time()) + 3_000))


def _part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "azp": "app", "iat": now, "exp": now + 300}
    return {**usual, **more}


def _by_hand(header: dict[str, Any], claims: object, secret: bytes | None = None) -> str:
    """A token whose signature is an HMAC, or nothing."""
    text = f"{_part(header)}.{_part(claims)}"
    if secret is None:
        return f"{text}."
    return f"{text}.{_part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def _confused() -> str:
    """RFC 8725, 2.1: the public key, which everybody has, taken for the secret of an HMAC."""
    pem = jwk.import_key({k: public(PROVIDER_KEY)[k] for k in ("kty", "crv", "x", "y")}).as_pem()
    return _by_hand({"alg": "HS256", "typ": "JWT", "kid": PROVIDER_KEY["kid"]}, _claims(), pem)


def _twice() -> str:
    """RFC 7519, 4: "The Claim Names within a JWT Claims Set MUST be unique"."""
    text = json.dumps(_claims())[:-1] + ', "sub": "administrator"}'
    header = {"alg": "ES256", "typ": "JWT", "kid": PROVIDER_KEY["kid"]}
    private = jwk.import_key({k: PROVIDER_KEY[k] for k in ("kty", "crv", "x", "y", "d")})
    return jws.serialize_compact(header, text, private)


def _tampered() -> str:
    head, _, signature = provider_token().split(".")
    return f"{head}.{_part(_claims(sub='administrator'))}.{signature}"


OTHER = new_key()
BAD: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: provider_token(exp=int(time.time()) - 31), "expired"),
    "without an end": (lambda: provider_token(exp=None), "exp"),
    "an end that is no number": (lambda: provider_token(exp="tomorrow"), "exp"),
    "not yet begun (nbf)": (lambda: provider_token(nbf=int(time.time()) + 90), "nbf"),
    "made in the future (iat)": (lambda: provider_token(iat=int(time.time()) + 90), "iat"),
    "alg none": (lambda: _by_hand({"alg": "none"}, _claims()), "malformed"),
    "alg none with a signature": (
        lambda: _by_hand({"alg": "none"}, _claims(), b"x"),
        "algorithm",
    ),
    "alg None, whatever its case": (
        lambda: _by_hand({"alg": "nOnE"}, _claims(), b"x"),
        "algorithm",
    ),
    "HS256 with the public key": (_confused, "algorithm"),
    "for another audience": (lambda: provider_token(aud="https://other.example.vn"), "audience"),
    "for several others": (lambda: provider_token(aud=["a", "b"]), "audience"),
    "for nobody": (lambda: provider_token(aud=None), "audience"),
    "of another issuer": (lambda: provider_token(iss="https://evil.example"), "issuer"),
    "of no issuer": (lambda: provider_token(iss=None), "issuer"),
    "an issuer that is no text": (lambda: provider_token(iss=[ISSUER]), "issuer"),
    "by another key of the same name": (
        lambda: provider_token({**OTHER, "kid": PROVIDER_KEY["kid"]}),
        "signature",
    ),
    "by a key that is not published": (lambda: provider_token(OTHER), "key"),
    "claims that were changed": (_tampered, "signature"),
    "a claim twice": (_twice, "malformed"),
    "oversized": (lambda: provider_token(padding="x" * 9_000), "size"),
    "critical headers": (
        lambda: signed(_claims(), PROVIDER_KEY, crit=["b64"], b64=True),
        "crit",
    ),
    "another type": (lambda: signed(_claims(), PROVIDER_KEY, typ="logout+jwt"), "typ"),
    "bound to a key (cnf)": (lambda: provider_token(cnf={"jkt": "x"}), "cnf"),
    "of nobody": (lambda: provider_token(sub=None, azp=None), "sub"),
    "garbage": (lambda: "garbage", "malformed"),
    "empty": (lambda: "", "malformed"),
    "letters that are no base64url": (lambda: "a+b.c/d.e=", "malformed"),
    "two tokens": (lambda: f"{provider_token()}, Bearer {provider_token()}", "malformed"),
    "claims that are no object": (
        lambda: _by_hand({"alg": "ES256"}, [1], b"x"),
        "malformed",
    ),
    "claims nested deep": (
        lambda: _by_hand({"alg": "ES256"}, b'{"a":' + b"[" * 99 + b"]" * 99 + b"}", b"x"),
        "malformed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_and_nothing_is_stored(
    name: str, client: httpx.Client, trusted: dict[str, str]
) -> None:
    """RFC 6750, 3.1: invalid_token is answered with 401, and says why in words."""
    make, rule = BAD[name]
    number, token = fresh_number(), make()
    answer = client.post("/Patient", json=resident(number), headers=bearer(token))
    assert answer.status_code == 401, answer.text
    told = answer.headers["WWW-Authenticate"]
    assert told.startswith('Bearer realm="fhir", error="invalid_token"')
    (issue,) = answer.json()["issue"]
    assert issue["details"]["coding"][0]["code"] == rule
    assert not token or token not in answer.text
    found = client.get(f"/Patient?identifier={CCCD}|{number}&_summary=count", headers=trusted)
    assert found.json()["total"] == 0


def test_a_refusal_speaks_vietnamese(client: httpx.Client) -> None:
    token = provider_token(exp=int(time.time()) - 99)
    answer = client.get("/Patient", headers={**bearer(token), "Accept-Language": "vi"})
    assert answer.json()["issue"][0]["details"]["text"] == "Token đã hết hạn."
    assert answer.json()["issue"][0]["code"] == "expired"


def test_without_a_token_nothing_is_answered(client: httpx.Client) -> None:
    """RFC 6750, 3: "the resource server MUST include the HTTP "WWW-Authenticate" response
    header field", whose scheme "MUST be followed by one or more auth-param values"; without an
    error code where no authentication was tried (3.1)."""
    for answer in (
        client.get("/Patient"),
        client.get("/Patient/1"),
        client.get("/no/such/address"),
        client.post("/Patient", json=resident()),
        client.post("/Binary", content=b"x", headers={"Content-Type": "application/pdf"}),
        client.get("/Patient", headers={"Authorization": "Basic YWRtaW46YWRtaW4="}),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fhir"'
        assert answer.json()["issue"][0]["code"] == "login"


def test_who_sends_no_token_sends_no_body(client: httpx.Client, server: Server) -> None:
    """Content that comes raw is staged as it comes: nothing of it before the token is right."""
    headers = {"Content-Type": "application/pdf", **bearer("garbage")}
    assert client.post("/Binary", content=b"x" * 200_000, headers=headers).status_code == 401
    assert server.database_url is not None
    with psycopg.connect(server.database_url) as connection:
        assert connection.execute("select count(*) from blob").fetchone() == (0,)


def test_what_everyone_may_know_is_open(client: httpx.Client, server: Server) -> None:
    """https://hl7.org/fhir/R4/http.html#capabilities; the discovery document is asked for by who
    has no token yet."""
    security = client.get("/metadata").json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (uris,) = security["extension"]
    assert uris["extension"][0] == {"url": "token", "valueUri": f"{server.url}/auth/token"}
    assert client.get("/.well-known/smart-configuration").status_code == 200
    assert client.options("/Patient").status_code == 204
    assert httpx.get(f"{server.url}/health/ready").status_code == 200


def test_a_program_gets_a_token_and_writes_under_its_name(
    client: httpx.Client, server: Server
) -> None:
    one = machine(str(server.database_url))
    token = one.token(server)
    answer = client.post("/Patient", json=resident(), headers=bearer(token))
    assert answer.status_code == 201, answer.text
    assert client.get(answer.headers["Location"], headers=bearer(token)).status_code == 200
    with psycopg.connect(str(server.database_url)) as connection:
        found = connection.execute("select name from sender where name = %s", (one.id,))
        assert found.fetchone() == (one.id,)


def test_clocks_may_be_apart(client: httpx.Client) -> None:
    """RFC 7519, 4.1.4: "some small leeway", here `auth_skew_s`."""
    now = int(time.time())
    for token in (
        provider_token(exp=now - 10),
        provider_token(nbf=now + 10, iat=now + 10),
    ):
        assert client.get("/Patient", headers=bearer(token)).status_code == 200


def test_a_scheme_is_told_by_any_letters(client: httpx.Client) -> None:
    """RFC 9110, 11.1: the name of a scheme is a case-insensitive token."""
    headers = {"Authorization": f"bEARER {provider_token()}"}
    assert client.get("/Patient", headers=headers).status_code == 200


def test_a_token_that_was_taken_once_is_refused_when_it_expires(client: httpx.Client) -> None:
    headers = bearer(provider_token(exp=int(time.time()) - 28))
    assert client.get("/Patient", headers=headers).status_code == 200
    until = time.monotonic() + 10
    while client.get("/Patient", headers=headers).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_revoked_client_is_refused_within_a_second(client: httpx.Client, server: Server) -> None:
    one = machine(str(server.database_url))
    headers = bearer(one.token(server))
    assert client.get("/Patient", headers=headers).status_code == 200
    with psycopg.connect(str(server.database_url), autocommit=True) as connection:
        assert kept.revoke(connection, one.id, clock.now())
    time.sleep(1.05)
    answer = client.post("/Patient", json=resident(), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "client"


def test_a_token_of_ours_is_no_token_of_another_server(
    client: httpx.Client, module_database: str, server: Server
) -> None:
    """A key is of one database: what another signed for the same audience is refused."""
    key = new_key()
    now = int(time.time())
    own = {"iss": "http://localhost/fhir", "aud": "http://localhost/fhir", "client_id": "x"}
    token = signed({**own, "sub": "x", "iat": now, "exp": now + 99}, key, typ="at+jwt")
    answer = client.get("/Patient", headers=bearer(token))
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "key"


def test_jobs_belong_to_who_began_them(client: httpx.Client, server: Server) -> None:
    """Also where the program is the same, and the users are not."""
    mine = bearer(provider_token(sub="doctor-1"))
    others = (bearer(provider_token(sub="doctor-2")), bearer(token_for(server)))
    begun = client.get("/Patient", headers={**mine, "Prefer": "respond-async"})
    assert begun.status_code == 202
    address = begun.headers["Content-Location"]
    assert client.get(address, headers=mine).status_code in (200, 202)
    for other in others:
        assert client.get(address, headers=other).status_code == 404


def test_who_asked_is_kept_with_the_job(client: httpx.Client, server: Server) -> None:
    claims = {"ehr_policy": "facility", "ehr_facility": "h", "scope": "user/*.rs"}
    token = provider_token(sub="doctor-3", **claims)
    headers = {**bearer(token), "Prefer": "respond-async"}
    id_ = client.get("/Patient", headers=headers).headers["Content-Location"].rpartition("/")[2]
    with psycopg.connect(str(server.database_url)) as connection:
        row = connection.execute("select request from job where id = %s", (id_,)).fetchone()
    assert row is not None
    assert row[0]["caller"] == "login/app#doctor-3"
    assert row[0]["asker"]["principal"]["policy"] == "facility"
    assert row[0]["asker"]["principal"]["scopes"] == ["user/*.rs"]
    assert token not in json.dumps(row[0])


def test_what_a_program_imports_is_stored_in_its_name(client: httpx.Client, server: Server) -> None:
    """Parts of an import are done by processes of their own, which are told who asked."""
    one = machine(str(server.database_url))
    headers = {**bearer(one.token(server)), "Prefer": "respond-async"}
    line = json.dumps(resident(id=f"of-{one.id}")) + "\n"
    kind = {"Content-Type": "application/fhir+ndjson"}
    begun = client.post("/$import", content=line, headers=headers | kind)
    assert begun.status_code == 202, begun.text
    until = time.monotonic() + 60
    while client.get(begun.headers["Content-Location"], headers=headers).status_code == 202:
        assert time.monotonic() < until
        time.sleep(0.2)
    with psycopg.connect(str(server.database_url)) as connection:
        found = connection.execute(
            "select count(*) from version join sender on sender.id = sender where name = %s",
            (one.id,),
        )
        assert found.fetchone() == (1,)


def test_pinned_keys_alone_are_taken(database: str) -> None:
    """RFC 7638 thumbprints in the file of issuers: another key that the provider publishes is
    refused."""
    with open_folder() as folder:
        chosen = settings(folder, pins=[PROVIDER_KEY["kid"]])
        both = {"keys": [public(PROVIDER_KEY), public(OTHER)]}
        (folder / "keys.json").write_text(json.dumps(both))
        with serving(database, **chosen) as server, client_of(server) as client:
            assert client.get("/Patient", headers=bearer(provider_token())).status_code == 200
            answer = client.get("/Patient", headers=bearer(provider_token(OTHER)))
            assert answer.status_code == 401
            assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "key"


def test_an_open_server_looks_at_tokens_too(database: str) -> None:
    with open_folder() as folder, serving(database, **settings(folder) | {"auth": "open"}) as here:
        with client_of(here) as client:
            assert client.get("/Patient").status_code == 200
            basic = {"Authorization": "Basic eA=="}  # of a proxy in front
            assert client.get("/Patient", headers=basic).status_code == 200
            assert client.get("/Patient", headers=bearer("garbage")).status_code == 401
            one = Machine.token(machine(database), here)
            assert client.get("/Patient", headers=bearer(one)).status_code == 200
        assert "service" not in httpx.get(f"{here.fhir}/metadata").json()["rest"][0]["security"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "no authentication is configured"),
        (("--auth=required",), "needs --base-url"),
        (("--auth-issuers=absent.json",), "absent.json"),
    ],
)
def test_another_address_is_not_served_open(
    options: tuple[str, ...], why: str, database: str
) -> None:
    with (
        pytest.raises(AssertionError, match=why),
        serving(database, "--host=0.0.0.0", *options),
    ):
        pass


def test_another_address_is_served_to_who_has_a_token(database: str) -> None:
    base_url = "https://ehr.example.vn/fhir"
    with serving(database, "--host=0.0.0.0", auth="required", base_url=base_url) as server:
        url = server.fhir.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/Patient").status_code == 401
        assert "everyone on this machine" not in server.logged()
