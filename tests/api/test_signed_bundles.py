"""Bundles that are signed: who signed is verified before anything is stored, and kept.

https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.signature: "Digital Signature - base64
encoded. XML-DSig or a JWT." The rule is that of docs/guides/signing.md; the signatures here are
made by `api.signing`, without the code that verifies them.
"""

import base64
import hashlib
import hmac
import json as plain
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from api.patients import resident, weight
from api.pushes import JSON, bundle, is_repeated, keyed, new_key, post
from api.signing import (
    DOCUMENT,
    OURS,
    Signer,
    base64url,
    canonical,
    text,
    with_signature,
    write_keys,
)
from databases import PostgreSQL, open_folder
from servers import serving

pytestmark = pytest.mark.smoke

SIGNER = Signer("k1")
OTHER = Signer("k2")  # registered for another sender
UNKNOWN = Signer("k3")
OLD, FUTURE = Signer("old"), Signer("future")
NAMED = Signer("named")
WHO = {"identifier": {"system": "http://example.vn/facility", "value": "01234"}}


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    with open_folder() as folder:
        write_keys(
            folder,
            OURS,
            SIGNER.jwk(),
            OLD.jwk(exp=time.time() - 10),
            FUTURE.jwk(nbf=time.time() + 1000),
        )
        write_keys(folder, "pk-xa", OTHER.jwk())
        write_keys(folder, "named", NAMED.jwk(), who=WHO)
        yield folder


@pytest.fixture(scope="module")
def verifying(given_postgresql: PostgreSQL, keys: Path) -> Iterator[httpx.Client]:
    """A server that verifies what is signed."""
    yield from _client(given_postgresql, keys, "verified")


@pytest.fixture(scope="module")
def requiring(given_postgresql: PostgreSQL, keys: Path) -> Iterator[httpx.Client]:
    """A server that takes nothing unsigned."""
    yield from _client(given_postgresql, keys, "required")


def _client(postgresql: PostgreSQL, keys: Path, wish: str) -> Iterator[httpx.Client]:
    with (
        postgresql.database() as url,
        serving(url, signatures=wish, signature_keys_dir=str(keys)) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client


def checkup(kind: str = "transaction", **more: Any) -> dict[str, Any]:
    """A person with a weight of 52.50 kg, with letters of Vietnam."""
    urn = f"urn:uuid:{uuid.uuid4()}"
    entries = [post(resident(), fullUrl=urn)]
    entries += [post(weight(urn, "52.50"))] if kind == "transaction" else [post(resident())]
    return bundle(kind, *entries, **more)


def send(client: httpx.Client, what: Any, path: str = "/", **headers: str) -> httpx.Response:
    return client.post(path, content=text(what).encode(), headers={**JSON, **headers})


def provenances(client: httpx.Client, **asked: str) -> list[dict[str, Any]]:
    found = client.get("/Provenance", params=asked).json()
    return [entry["resource"] for entry in found.get("entry", ())]


def versions(client: httpx.Client) -> int:
    return len(client.get("/_history", params={"_count": 1000}).json().get("entry", ()))


def written(answer: httpx.Response) -> list[str]:
    """The versions that a Bundle has stored."""
    entries = answer.json()["entry"]
    return [one["response"]["location"].partition("/fhir/")[2] for one in entries]


def expect_refused(client: httpx.Client, sent: Any, code: str = "", below: str = "") -> None:
    before = versions(client)
    answer = send(client, sent)
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == [f"Bundle.signature{below}"], issue
    if code:
        assert issue["code"] == code
    assert versions(client) == before


def test_a_right_one_is_kept_with_what_it_signed(verifying: httpx.Client) -> None:
    sent = SIGNER.sign(checkup(identifier={"system": "http://example.vn/push", "value": new_key()}))
    answer = send(verifying, sent)
    assert answer.status_code == 200, answer.text
    for here in written(answer):
        (found,) = provenances(verifying, target=here)
        assert [one["reference"] for one in found["target"]] == written(answer)
        assert found["signature"] == [sent["signature"]]
        assert found["agent"][0]["who"] == {"display": OURS}
        assert found["agent"][0]["type"]["coding"][0]["code"] == "attester"
        assert found["entity"][0]["what"] == {"identifier": sent["identifier"]}


def test_of_a_batch_each_entry_has_it(verifying: httpx.Client) -> None:
    sent = SIGNER.sign(checkup("batch"))
    answer = send(verifying, sent)
    for here in written(answer):
        (found,) = provenances(verifying, target=here)
        assert [one["reference"] for one in found["target"]] == [here]
        assert found["signature"] == [sent["signature"]]


def test_blanks_and_the_order_of_properties_are_not_signed(verifying: httpx.Client) -> None:
    sent = SIGNER.sign(checkup())
    turned = {name: sent[name] for name in reversed(sent)}
    turned["entry"] = [{k: e[k] for k in reversed(e)} for e in turned["entry"]]
    spread = text(turned).replace(", ", " ,\n\t ")
    answer = verifying.post("/", content=spread.encode(), headers=JSON)
    assert answer.status_code == 200, answer.text


def test_letters_may_be_escaped_or_not(verifying: httpx.Client) -> None:
    sent = SIGNER.sign(checkup())
    plainly = text(sent).encode().decode("raw_unicode_escape")
    assert "Phạm Thị Ngọp" in plainly
    answer = verifying.post("/", content=plainly.encode(), headers=JSON)
    assert answer.status_code == 200, answer.text


def test_a_decimal_is_signed_with_its_digits(verifying: httpx.Client) -> None:
    """52.5 is not 52.50: https://hl7.org/fhir/R4/datatypes.html#decimal."""
    sent = SIGNER.sign(checkup())
    assert sent["entry"][1]["resource"]["valueQuantity"]["value"] == Decimal("52.50")
    changed = text(sent).replace("52.50", "52.5")
    answer = verifying.post("/", content=changed.encode(), headers=JSON)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize("what", ["value", "added", "removed", "swapped", "request", "type"])
def test_what_was_altered_is_refused(verifying: httpx.Client, kind: str, what: str) -> None:
    sent = SIGNER.sign(checkup(kind))
    entries = [plain.loads(text(entry), parse_float=Decimal) for entry in sent["entry"]]
    altered = {**sent, "entry": entries}
    if what == "value":
        entries[0]["resource"]["gender"] = "male"
    elif what == "added":
        entries.append(post(resident()))
    elif what == "removed":
        entries.pop()
    elif what == "swapped":
        entries.reverse()
    elif what == "request":
        entries[1]["request"] = {"method": "PUT", "url": "Observation/1"}
        entries[1]["resource"]["id"] = "1"
    else:
        altered["type"] = "batch" if kind == "transaction" else "transaction"
    expect_refused(verifying, altered, "invalid")


def test_a_narrative_that_was_changed_is_refused(verifying: httpx.Client) -> None:
    """Blanks within it are part of it."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml">a  b</div>'
    sent = checkup()
    sent["entry"][0]["resource"]["text"] = {"status": "generated", "div": div}
    signed = SIGNER.sign(sent)
    assert send(verifying, signed).status_code == 200
    signed = SIGNER.sign(sent | {"id": "x"})
    signed["entry"][0]["resource"]["text"] = {"status": "generated", "div": div.replace("  ", " ")}
    expect_refused(verifying, signed, "invalid")


def test_the_wrong_key_is_refused(verifying: httpx.Client) -> None:
    """The kid is that of a registered key, the signature is another's."""
    forger = Signer(SIGNER.kid)
    expect_refused(verifying, forger.sign(checkup()), "invalid")


def test_the_key_of_another_sender_counts_as_his(verifying: httpx.Client) -> None:
    answer = send(verifying, OTHER.sign(checkup()))
    (found,) = provenances(verifying, target=written(answer)[0])
    assert found["agent"][0]["who"] == {"display": "pk-xa"}


def test_unknown_expired_and_future_keys_are_refused(verifying: httpx.Client) -> None:
    expect_refused(verifying, UNKNOWN.sign(checkup()), "unknown")
    expect_refused(verifying, OLD.sign(checkup()), "expired")
    expect_refused(verifying, FUTURE.sign(checkup()), "expired")


def test_a_key_that_is_taken_out_counts_no_longer(verifying: httpx.Client, keys: Path) -> None:
    passing = Signer("passing")
    write_keys(keys, "passing", passing.jwk())
    assert send(verifying, passing.sign(checkup())).status_code == 200
    (keys / "passing.json").unlink()
    expect_refused(verifying, passing.sign(checkup()), "unknown")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "HS512", "ES256K", "dir", ""])
def test_only_listed_algorithms_count(verifying: httpx.Client, alg: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc8725#section-3.1"""
    sent = checkup()
    expect_refused(verifying, SIGNER.sign(sent, alg=alg), "value", ".data")
    header = base64url(plain.dumps({"alg": alg, "kid": SIGNER.kid}).encode())
    unsigned = with_signature(sent, f"{header}..")
    expect_refused(verifying, unsigned, "value", ".data")


def test_a_public_key_is_no_shared_secret(verifying: httpx.Client) -> None:
    """What is public would sign: https://www.rfc-editor.org/rfc/rfc8725#section-2.1."""
    sent = checkup()
    header = base64url(plain.dumps({"alg": "HS256", "kid": SIGNER.kid}).encode())
    content = f"{header}.{base64url(canonical(text(sent)))}".encode()
    for secret in (plain.dumps(SIGNER.jwk()).encode(), SIGNER.jwk()["x"].encode()):
        mac = base64url(hmac.new(secret, content, hashlib.sha256).digest())
        expect_refused(verifying, with_signature(sent, f"{header}..{mac}"), "value", ".data")


def test_an_algorithm_of_another_curve_or_kind_is_refused(verifying: httpx.Client) -> None:
    for alg in ("ES384", "RS256", "PS256", "Ed25519"):
        expect_refused(verifying, SIGNER.sign(checkup(), alg=alg), "invalid")


def test_keys_that_come_along_count_for_nothing(verifying: httpx.Client) -> None:
    for header in ({"jwk": UNKNOWN.jwk()}, {"x5c": ["MIIB"]}, {"jku": "http://127.0.0.1:9/"}):
        expect_refused(verifying, UNKNOWN.sign(checkup(), **header), "unknown")
        expect_refused(verifying, UNKNOWN.sign(checkup(), kid=None, **header), "value", ".data")


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}]
)
def test_extensions_that_are_not_known_are_refused(
    verifying: httpx.Client, header: dict[str, Any]
) -> None:
    """https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11"""
    expect_refused(verifying, SIGNER.sign(checkup(), **header), "value", ".data")


def test_no_jws_is_refused(verifying: httpx.Client) -> None:
    sent = checkup()
    payload = canonical(text(sent))
    jws = SIGNER.jws(payload)
    attached = jws.replace("..", f".{base64url(payload)}.")
    general = plain.dumps({"payload": "", "signatures": [{"protected": "e30", "signature": "x"}]})
    for wrong in (attached, general, "a.b", jws + ".x", jws + " ", f"{jws}\n{jws}", "..", "é"):
        expect_refused(verifying, with_signature(sent, wrong), "value", ".data")
    for more in ({"data": "!"}, {"data": base64.b64encode(b"\xff..\xff").decode()}):
        refused = send(verifying, with_signature(sent, jws, **more))
        assert refused.status_code in (400, 422)


def test_a_signature_that_is_cut_or_empty_is_refused(verifying: httpx.Client) -> None:
    sent = checkup()
    jws = SIGNER.jws(canonical(text(sent)))
    head = jws.partition("..")[0]
    zeros = base64url(bytes(64))
    for wrong in (jws[:-4], f"{head}..{zeros}", f"{head}..AAAA"):
        expect_refused(verifying, with_signature(sent, wrong), "invalid")


def test_other_formats_are_refused(verifying: httpx.Client) -> None:
    sent = checkup()
    jws = SIGNER.jws(canonical(text(sent)))
    wrong = with_signature(sent, jws, sigFormat="application/signature+xml")
    expect_refused(verifying, wrong, "value", ".sigFormat")
    del wrong["signature"]["sigFormat"]
    expect_refused(verifying, wrong, "value", ".sigFormat")


@pytest.mark.parametrize("part", ["data", "static", "narrative", "other"])
def test_canonicalizations_that_leave_parts_unsigned_are_refused(
    verifying: httpx.Client, part: str
) -> None:
    url = f"http://hl7.org/fhir/canonicalization/json#{part}"
    sent = checkup()
    jws = SIGNER.jws(canonical(text(sent)))
    wrong = with_signature(sent, jws, targetFormat=f"application/fhir+json;canonicalization={url}")
    expect_refused(verifying, wrong, "value", ".targetFormat")


def test_two_signatures_are_refused(verifying: httpx.Client) -> None:
    """Bundle.signature is 0..1."""
    sent = SIGNER.sign(checkup())
    both = [sent["signature"], OTHER.sign(checkup())["signature"]]
    before = versions(verifying)
    answer = send(verifying, {**sent, "signature": both})
    assert answer.status_code == 400
    assert versions(verifying) == before
    twice = text(sent).replace('"signature":', '"signature": {}, "signature":', 1)
    assert verifying.post("/", content=twice.encode(), headers=JSON).status_code == 400


def test_a_push_that_comes_again_is_stored_once(verifying: httpx.Client) -> None:
    """Also when it was signed anew: signatures by ECDSA are never the same."""
    for kind in ("transaction", "batch"):
        key, sent = new_key(), checkup(kind)
        first = send(verifying, SIGNER.sign(sent), **keyed(key))
        assert first.status_code == 200, first.text
        count = versions(verifying)
        assert is_repeated(send(verifying, SIGNER.sign(sent), **keyed(key)))
        forged = send(verifying, Signer(SIGNER.kid).sign(sent), **keyed(key))
        assert forged.status_code == 422  # nobody is told what another has stored
        assert versions(verifying) == count


def test_whoever_sends_it_again_stores_nothing(verifying: httpx.Client) -> None:
    """Its identifier is its key, and signed: who has overheard it cannot give it another."""
    identifier = {"system": "http://example.vn/push", "value": new_key()}
    sent = SIGNER.sign(checkup(identifier=identifier))
    assert send(verifying, sent).status_code == 200
    count = versions(verifying)
    assert is_repeated(send(verifying, sent))
    assert versions(verifying) == count
    other = {**sent, "identifier": {**identifier, "value": new_key()}}
    expect_refused(verifying, other, "invalid")


def test_rsa_keys_sign_too(verifying: httpx.Client, keys: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "rsa", "n": base64url(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    write_keys(keys, "rsa", jwk)
    for alg, scheme in (
        ("RS256", padding.PKCS1v15()),
        ("PS256", padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
    ):
        sent = checkup()
        header = base64url(plain.dumps({"alg": alg, "kid": "rsa"}).encode())
        content = f"{header}.{base64url(canonical(text(sent)))}".encode()
        signature = base64url(private.sign(content, scheme, hashes.SHA256()))
        answer = send(verifying, with_signature(sent, f"{header}..{signature}"))
        assert answer.status_code == 200, answer.text
    expect_refused(verifying, SIGNER.sign(checkup(), kid="rsa", alg="RS256"), "invalid")


def test_a_key_is_for_the_algorithm_it_names(verifying: httpx.Client, keys: Path) -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    numbers = p384.public_key().public_numbers()
    x, y = (base64url(n.to_bytes(48, "big")) for n in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": "p384", "alg": "ES384"}
    write_keys(keys, "p384", jwk)
    expect_refused(verifying, SIGNER.sign(checkup(), kid="p384"), "invalid")


def test_who_signed_is_the_owner_of_the_key(verifying: httpx.Client) -> None:
    """`who` beside the data is not signed: it may not name another."""
    sent = checkup()
    jws = NAMED.jws(canonical(text(sent)))
    another = {"identifier": {**WHO["identifier"], "value": "99999"}}
    expect_refused(verifying, with_signature(sent, jws, who=another), "invalid", ".who")
    reference = {"reference": "Organization/other"}
    expect_refused(verifying, with_signature(sent, jws, who=reference), "invalid", ".who")
    answer = send(verifying, with_signature(sent, jws, who=WHO))
    assert answer.status_code == 200, answer.text
    (found,) = provenances(verifying, target=written(answer)[0])
    assert found["agent"][0]["who"] == WHO


def test_who_signed_may_be_an_entry(verifying: httpx.Client) -> None:
    """The link is followed where the signature is kept; one to nothing is refused at its place."""
    urn = f"urn:uuid:{uuid.uuid4()}"
    sent = bundle("transaction", post({"resourceType": "Organization", "name": "BV"}, fullUrl=urn))
    jws = SIGNER.jws(canonical(text(sent)))
    answer = send(verifying, with_signature(sent, jws, who={"reference": urn}))
    assert answer.status_code == 200, answer.text
    (found,) = provenances(verifying, target=written(answer)[0])
    who = found["signature"][0]["who"]["reference"]
    assert who == written(answer)[0].split("/_history")[0]
    wrong = send(verifying, with_signature(sent, jws, who={"reference": "Organization/none"}))
    assert wrong.status_code == 422
    assert wrong.json()["issue"][0]["expression"] == ["Bundle.signature[0].who.reference"]


def test_a_document_that_is_kept_is_verified(verifying: httpx.Client) -> None:
    """With #document, which leaves out what the server gives: Bundle.id and Bundle.meta."""
    sent = document()
    unsigned = canonical(text(sent), ("signature", "id", "meta"))
    signed = with_signature(sent, SIGNER.jws(unsigned), targetFormat=DOCUMENT)
    answer = send(verifying, signed, "/Bundle")
    assert answer.status_code == 201, answer.text
    here = f"Bundle/{answer.json()['id']}"
    (found,) = provenances(verifying, target=here)
    assert found["signature"] == [signed["signature"]]
    kept = verifying.get(f"/{here}").text
    assert canonical(kept, ("signature", "id", "meta")) == unsigned  # it can be verified for ever
    wrong = {**signed, "timestamp": "2026-10-06T09:00:00+07:00"}
    before = versions(verifying)
    assert send(verifying, wrong, "/Bundle").status_code == 422
    assert versions(verifying) == before


def test_an_unsigned_one_is_taken_where_none_is_required(verifying: httpx.Client) -> None:
    answer = send(verifying, checkup())
    assert answer.status_code == 200
    assert provenances(verifying, target=written(answer)[0]) == []


def test_where_one_is_required_nothing_unsigned_is_stored(requiring: httpx.Client) -> None:
    before = versions(requiring)
    person = resident(id="p1")
    patch = [{"op": "replace", "path": "/gender", "value": "male"}]
    patching = {"Content-Type": "application/json-patch+json"}
    answers = [
        send(requiring, checkup()),
        send(requiring, checkup("batch")),
        send(requiring, person, "/Patient"),
        send(requiring, document(), "/Bundle"),
        requiring.put("/Patient/p1", content=text(person).encode(), headers=JSON),
        requiring.patch("/Patient/p1", content=plain.dumps(patch), headers=patching),
        requiring.delete("/Patient/p1"),
        requiring.post("/Binary", content=b"x", headers={"Content-Type": "text/plain"}),
    ]
    for answer in answers:
        (issue,) = answer.json()["issue"]
        assert answer.status_code == 422, answer.text
        assert (issue["code"], issue["expression"]) == ("required", ["Bundle.signature"])
    assert versions(requiring) == before


def test_where_one_is_required_what_is_signed_is_stored(requiring: httpx.Client) -> None:
    for kind in ("transaction", "batch"):
        answer = send(requiring, SIGNER.sign(checkup(kind)))
        statuses = {one["response"]["status"][:3] for one in answer.json()["entry"]}
        assert (answer.status_code, statuses) == (200, {"201"})
    expect_refused(requiring, UNKNOWN.sign(checkup()), "unknown")


def test_by_default_no_signature_is_looked_at(shared_client: httpx.Client) -> None:
    answer = send(shared_client, UNKNOWN.sign(checkup()))
    assert answer.status_code == 200
    assert provenances(shared_client, target=written(answer)[0]) == []


def document() -> dict[str, Any]:
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11503-0"}]},
        "date": "2026-10-05",
        "author": [{"display": "BS"}],
        "title": "Khám sức khỏe",
    }
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "http://example.vn/visit", "value": new_key()},
        "timestamp": "2026-10-05T09:00:00+07:00",
        "entry": [{"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": composition}],
    }
