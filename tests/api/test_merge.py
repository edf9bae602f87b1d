"""$merge: two Patients are records of one person.

https://hl7.org/fhir/R5/patient-operation-merge.html
"""

from typing import Any

import httpx
import psycopg
import pytest

from api.merges import (
    MRN,
    content,
    found,
    merge,
    merged,
    new_number,
    observed,
    part,
    person,
    referring,
    unmerge,
)
from api.patients import CCCD, resident
from api.test_purge import purge
from servers import Server, serving

pytestmark = pytest.mark.smoke


@pytest.fixture
def pair(client: httpx.Client) -> tuple[str, str]:
    """Two records of one person: the ids of source and target."""
    return person(client, new_number()), person(client, new_number())


def test_both_ids_resolve_and_say_what_became_of_them(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    """https://hl7.org/fhir/R4/patient.html#links"""
    source, target = pair
    answer = merge(client, source, target)
    assert answer.status_code == 200, answer.text
    old, new = content(client, source), content(client, target)
    assert old["active"] is False
    assert old["link"] == [{"other": referring(target), "type": "replaced-by"}]
    assert new["link"] == [{"other": referring(source), "type": "replaces"}]
    assert part(answer, "result") == client.get(f"/Patient/{target}").json()
    assert "was merged" in str(part(answer, "outcome"))
    for id_ in pair:
        assert client.get(f"/Patient/{id_}").headers["ETag"] == 'W/"2"'
        assert client.get(f"/Patient/{id_}/_history").json()["total"] == 2


def test_a_provenance_tells_of_it(client: httpx.Client, pair: tuple[str, str]) -> None:
    """https://hl7.org/fhir/R4/provenance.html"""
    source, target = pair
    merged(client, source, target)
    for id_ in pair:
        (told,) = client.get(f"/Provenance?target=Patient/{id_}").json()["entry"]
        provenance = told["resource"]
        assert provenance["activity"]["coding"][0]["code"] == "merge"
        assert provenance["target"] == [referring(f"{one}/_history/2") for one in pair]
        assert [one["what"] for one in provenance["entity"]] == [
            referring(f"{one}/_history/1") for one in pair
        ]
        assert provenance["agent"] == [{"who": {"display": "local"}}]


def test_the_target_has_the_numbers_of_both(client: httpx.Client) -> None:
    """As old, but for a kind of which it had none: so it keeps a number in use. None is doubled."""
    card, other = new_number(), new_number()
    facility = {"system": MRN, "value": "HN-7", "use": "usual"}
    known = {"system": CCCD, "value": card, "use": "official"}
    lost = {"system": CCCD, "value": other}
    source = person(client, other, identifier=[lost, {**known, "use": "usual"}, facility])
    target = person(client, card, identifier=[known])
    merged(client, source, target)
    assert content(client, target)["identifier"] == [known, {**lost, "use": "old"}, facility]
    assert content(client, source)["identifier"][0] == lost


class TestWhichVersion:
    """https://hl7.org/fhir/R4/http.html#concurrency"""

    def test_if_match_is_the_target_s(self, client: httpx.Client, pair: tuple[str, str]) -> None:
        assert merge(client, *pair, If_Match='W/"2"').status_code == 412
        assert merge(client, *pair, If_Match="2").status_code == 400
        assert merge(client, *pair, If_Match='W/"1"').status_code == 200

    def test_a_versioned_reference(self, client: httpx.Client, pair: tuple[str, str]) -> None:
        source, target = pair
        assert merge(client, f"{source}/_history/2", target).status_code == 412
        assert merge(client, source, f"{target}/_history/2").status_code == 412
        assert merge(client, source, f"{target}/_history/1", If_Match='W/"2"').status_code == 412
        assert merge(client, f"{source}/_history/1", f"{target}/_history/1").status_code == 200


def test_a_preview_is_all_of_it_and_stores_nothing(
    server: Server, client: httpx.Client, pair: tuple[str, str]
) -> None:
    source, target = pair
    before = [client.get(f"/Patient/{id_}").content for id_ in pair]
    preview = {"name": "preview", "valueBoolean": True}
    answer = merge(client, source, target, preview)
    assert answer.status_code == 200, answer.text
    assert part(answer, "result")["link"] == [{"other": referring(source), "type": "replaces"}]
    assert merge(client, source, target, preview, If_Match='W/"7"').status_code == 412
    assert [client.get(f"/Patient/{id_}").content for id_ in pair] == before
    assert found(client, f"Provenance?target=Patient/{source}") == set()
    assert found(client, f"Observation?patient={source}") == set()
    with psycopg.connect(server.database_url or "") as connection:
        count = "select count(*) from merged where id = any(%s)"
        assert connection.execute(count, (list(pair),)).fetchone() == (0,)


def test_the_two_may_be_named_by_their_identifiers(client: httpx.Client) -> None:
    card, other = new_number(), new_number()
    source, target = person(client, other), person(client, card)
    wrong = merge(client, source, target, _identifier("target", new_number()))
    assert (wrong.status_code, _place(wrong)) == (422, "target-patient-identifier")
    named = [_identifier("source", other), _identifier("target", card)]
    assert merge(client, source, target, *named, If_Match='W/"1"').status_code == 200
    assert unmerge(client, source).status_code == 200
    assert merge(client, "", "", *named).status_code == 200
    assert content(client, source)["active"] is False


def test_identifiers_must_lead_to_one(client: httpx.Client) -> None:
    shared = new_number()
    both = [{"system": MRN, "value": shared}]
    source, target = (person(client, new_number(), identifier=both) for _ in range(2))
    several = merge(client, "", target, _identifier("source", shared, MRN))
    assert (several.status_code, _code(several)) == (422, "multiple-matches")
    none = merge(client, "", target, _identifier("source", new_number()))
    assert (none.status_code, _code(none)) == (422, "not-found")
    named = merge(client, source, target, _identifier("source", shared, MRN))
    assert named.status_code == 200, named.text


class TestResultPatient:
    """The target as the sender wants it to be."""

    def test_it_is_stored_as_it_is(self, client: httpx.Client, pair: tuple[str, str]) -> None:
        source, target = pair
        result = _result(source, target)
        answer = merge(client, source, target, {"name": "result-patient", "resource": result})
        assert answer.status_code == 200, answer.text
        assert content(client, target) == result
        assert content(client, source)["active"] is False

    @pytest.mark.parametrize(
        ("element", "value"),
        [("id", "other"), ("link", []), ("gender", "unknowable")],
        ids=["another id", "without the link", "a fault"],
    )
    def test_what_does_not_fit_is_refused(
        self, client: httpx.Client, pair: tuple[str, str], element: str, value: Any
    ) -> None:
        source, target = pair
        result = {**_result(source, target), element: value}
        if not value:
            del result[element]
        answer = merge(client, source, target, {"name": "result-patient", "resource": result})
        assert answer.status_code == 400, answer.text
        place = answer.json()["issue"][0]["expression"][0]
        assert place == f"Parameters.parameter.where(name='result-patient').resource.{element}"
        assert "active" not in content(client, source)

    def test_it_must_have_the_identifiers_that_name_the_target(self, client: httpx.Client) -> None:
        card = new_number()
        source, target = person(client, new_number()), person(client, card)
        answer = merge(
            client,
            source,
            target,
            _identifier("target", card),
            {"name": "result-patient", "resource": _result(source, target)},
        )
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("values", "status", "place"),
    [
        ([], 400, "source-patient"),
        ([("source-patient", {"reference": "Patient/1"})], 422, None),
        ([("source-patient", {"reference": "Observation/1"})], 400, None),
        ([("source-patient", {"reference": "http://other.org/fhir/Patient/1"})], 400, None),
        ([("source-patient", {"reference": 7})], 400, None),
        ([("source-patient", {"display": "Ngọp"})], 400, None),
        ([("source-patient", "Patient/1")], 400, None),
        ([("source-patient", {"reference": "Patient/1/_history/x"})], 400, None),
        ([("source-patient-identifier", {"system": CCCD})], 400, None),
        ([("source-patient-identifier", {"value": 7})], 400, None),
        ([("someone", {"reference": "Patient/1"})], 400, "someone"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(
    client: httpx.Client,
    values: list[tuple[str, Any]],
    status: int,
    place: str | None,
) -> None:
    target = person(client, new_number())
    elements = {"identifier": "valueIdentifier", "patient": "valueReference"}
    given = [
        {"name": name, elements.get(name.rpartition("-")[2], "valueReference"): value}
        for name, value in values
    ]
    answer = merge(client, "", target, *given)
    assert answer.status_code == status, answer.text
    assert (place or values[0][0]) in answer.json()["issue"][0]["expression"][0]


def test_a_third_who_has_the_number_is_listed_for_review(client: httpx.Client) -> None:
    """A merge gives the target a number that somebody else holds too: a human is to look."""
    card = new_number()
    source, third = person(client, card), person(client, card)
    target = person(client, new_number())
    answer = merge(client, source, target)
    assert answer.status_code == 200, answer.text
    listed = client.get(f"/Task?code=same-person&focus=Patient/{target}").json()["entry"]
    assert [one["resource"]["for"] for one in listed] == [referring(third)]


def test_in_xml(client: httpx.Client, pair: tuple[str, str]) -> None:
    """https://hl7.org/fhir/R4/xml.html"""
    values = "".join(
        f'<parameter><name value="{role}-patient"/><valueReference>'
        f'<reference value="Patient/{id_}"/></valueReference></parameter>'
        for role, id_ in zip(("source", "target"), pair, strict=True)
    )
    body = f'<Parameters xmlns="http://hl7.org/fhir">{values}</Parameters>'
    sent = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = client.post("/Patient/$merge", content=body, headers=sent)
    assert answer.status_code == 200, answer.text
    assert f'<id value="{pair[1]}"/>' in answer.text
    assert content(client, pair[0])["active"] is False


def test_records_that_cannot_be_merged(client: httpx.Client, pair: tuple[str, str]) -> None:
    source, target = pair
    third = person(client, new_number())
    assert _refused(merge(client, source, source)) == "invalid"
    merged(client, source, target)
    assert _refused(merge(client, source, target)) == "business-rule"
    assert _refused(merge(client, third, source)) == "business-rule"
    assert _refused(merge(client, target, source)) == "business-rule"
    client.delete(f"/Patient/{third}")
    assert _refused(merge(client, third, target)) == "deleted"
    assert _refused(merge(client, "never", target)) == "not-found"
    assert client.get("/Patient/$merge").status_code == 405


class TestWritesAfterwards:
    """Who knows nothing of a merge cannot undo it."""

    def test_an_update_does_not_bring_the_source_back(
        self, client: httpx.Client, pair: tuple[str, str]
    ) -> None:
        source, target = pair
        merged(client, source, target)
        now = client.get(f"/Patient/{source}").json()
        for stale in ({**now, "active": True}, {**now, "link": []}):
            stale = {name: value for name, value in stale.items() if value != []}
            answer = client.put(f"/Patient/{source}", json=stale)
            assert answer.status_code == 409
            assert "$unmerge" in answer.json()["issue"][0]["details"]["text"]
        patch = [{"op": "remove", "path": "/active"}]
        sent = {"Content-Type": "application/json-patch+json"}
        patched = client.patch(f"/Patient/{source}", json=patch, headers=sent)
        assert patched.status_code == 409
        assert client.put(f"/Patient/{source}", json={**now, "gender": "male"}).status_code == 200

    def test_the_target_may_drop_its_link(
        self, client: httpx.Client, pair: tuple[str, str]
    ) -> None:
        source, target = pair
        kept = observed(client, source)
        merged(client, source, target)
        now = client.get(f"/Patient/{target}").json()
        del now["link"]
        assert client.put(f"/Patient/{target}", json=now).status_code == 200
        assert found(client, f"Observation?patient={target}") == {kept}

    def test_new_resources_may_be_about_either(
        self, client: httpx.Client, pair: tuple[str, str]
    ) -> None:
        source, target = pair
        merged(client, source, target)
        both = {observed(client, source), observed(client, target)}
        assert found(client, f"Patient/{target}/Observation") == both

    def test_neither_is_deleted(self, client: httpx.Client, pair: tuple[str, str]) -> None:
        """https://hl7.org/fhir/R4/http.html#delete: each refers to the other."""
        source, target = pair
        merged(client, source, target)
        assert client.delete(f"/Patient/{source}").status_code == 409
        assert client.delete(f"/Patient/{target}").status_code == 409

    def test_a_purge_of_the_target_waits_where_references_are_not_looked_at(
        self, module_database: str
    ) -> None:
        with (
            serving(module_database, references="accept") as lenient,
            httpx.Client(base_url=lenient.fhir, timeout=30) as http,
        ):
            source, target = person(http, new_number()), person(http, new_number())
            merged(http, source, target)
            assert purge(http, target).status_code == 409
            assert purge(http, source).status_code == 200
            assert purge(http, target).status_code == 200

    def test_a_purge_begins_with_what_was_merged(
        self, client: httpx.Client, pair: tuple[str, str]
    ) -> None:
        source, target = pair
        merged(client, source, target)
        refused = purge(client, target)
        assert refused.status_code == 409
        told = refused.json()["issue"][0]["details"]["text"]
        assert told.startswith(f"Patient/{source} was merged into Patient/{target}")
        now = client.get(f"/Patient/{target}").json()
        del now["link"]
        assert client.put(f"/Patient/{target}", json=now).status_code == 200
        assert purge(client, target).status_code == 409
        assert purge(client, source).status_code == 200
        assert client.get(f"/Patient/{source}").status_code == 410
        assert purge(client, target).status_code == 200


def test_it_is_in_the_statement(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/capabilitystatement.html"""
    rest = client.get("/metadata").json()["rest"][0]
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert {"merge", "unmerge"} <= {one["name"] for one in patient["operation"]}


def _identifier(role: str, value: str, system: str = CCCD) -> dict[str, Any]:
    identifier = {"system": system, "value": value}
    return {"name": f"{role}-patient-identifier", "valueIdentifier": identifier}


def _result(source: str, target: str) -> dict[str, Any]:
    link = {"other": referring(source), "type": "replaces"}
    return resident("001174999999", id=target, link=[link], birthDate="1974-05-21")


def _code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["code"])


def _place(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["expression"][0]).split("'")[1]


def _refused(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    return _code(answer)
