"""A Consent counts from the moment it is stored until it is withdrawn, for all records of a person.

https://hl7.org/fhir/R4/consent.html
"""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from api.consents import Look, consent, looking, stored
from api.merges import merged, observed, person, unmerged
from api.patients import fresh_number, resident
from api.test_purge import purge
from ehr_server.hashing import person_comp
from ehr_server.store.connect import Store
from servers import Server


@pytest.fixture(scope="module")
def look(server: Server, module_database: str) -> Iterator[Look]:
    with looking(module_database) as found:
        yield found


def _people(client: httpx.Client) -> tuple[str, str]:
    """Two Patients, each with a weight."""
    one, other = (person(client, fresh_number()) for _ in range(2))
    return one, other


def test_what_is_denied_is_hidden_and_who_the_person_is_is_not(
    client: httpx.Client, look: Look
) -> None:
    one, other = _people(client)
    mine, theirs = observed(client, one), observed(client, other)
    address = f"Observation?patient={one},{other}"
    assert look.ids(address) == {mine, theirs}
    stored(client, consent(one))
    assert look.ids(address) == {theirs}
    assert look.ids(f"Patient?_id={one}") == {one}


def test_a_consent_is_withdrawn_by_its_status_or_by_a_delete(
    client: httpx.Client, look: Look
) -> None:
    one, _ = _people(client)
    mine = observed(client, one)
    address = f"Observation?patient={one}"
    given = stored(client, consent(one))
    assert look.ids(address) == set()
    answer = client.put(f"/Consent/{given['id']}", json={**given, "status": "inactive"})
    assert answer.status_code == 200, answer.text
    assert look.ids(address) == {mine}
    client.put(f"/Consent/{given['id']}", json=given)
    assert look.ids(address) == set()
    assert client.delete(f"/Consent/{given['id']}").status_code == 204
    assert look.ids(address) == {mine}


def test_a_consent_that_is_given_to_the_right_person_leaves_the_other(
    client: httpx.Client, look: Look
) -> None:
    one, other = _people(client)
    mine, theirs = observed(client, one), observed(client, other)
    given = stored(client, consent(one))
    answer = client.put(
        f"/Consent/{given['id']}", json={**given, "patient": {"reference": f"Patient/{other}"}}
    )
    assert answer.status_code == 200, answer.text
    assert look.ids(f"Observation?patient={one},{other}") == {mine}
    assert theirs


def test_in_a_transaction_it_counts_with_the_rest(client: httpx.Client, look: Look) -> None:
    one, _ = _people(client)
    observed(client, one)
    entries = [
        {"resource": consent(one), "request": {"method": "POST", "url": "Consent"}}
        for _ in range(12)  # enough to be copied in
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle)
    assert answer.status_code == 200, answer.text
    assert look.ids(f"Observation?patient={one}") == set()


def test_of_a_person_of_two_records_it_counts_for_both(client: httpx.Client, look: Look) -> None:
    one, other = _people(client)
    mine, theirs = observed(client, one), observed(client, other)
    address = f"Observation?patient={one},{other}"
    stored(client, consent(one))
    assert look.ids(address) == {theirs}
    merged(client, one, other)
    assert look.ids(address) == set()
    later = stored(client, consent(other, {"type": "deny", "code": [_code()]}))
    unmerged(client, one)
    assert look.ids(address) == set()  # what was said of the other, the other has said
    assert client.delete(f"/Consent/{later['id']}").status_code == 204
    assert look.ids(address) == {theirs}
    assert mine


def test_a_consent_given_after_a_merge_counts_for_both_and_is_parted_with_it(
    client: httpx.Client, look: Look
) -> None:
    one, other = _people(client)
    mine, theirs = observed(client, one), observed(client, other)
    merged(client, one, other)
    stored(client, consent(other))
    address = f"Observation?patient={one},{other}"
    assert look.ids(address) == set()
    unmerged(client, one)
    assert look.ids(address) == {mine}
    assert theirs


def test_a_chain_of_three_records(client: httpx.Client, look: Look) -> None:
    people = [person(client, fresh_number()) for _ in range(3)]
    weights = [observed(client, one) for one in people]
    merged(client, people[0], people[1])
    stored(client, consent(people[0]))
    merged(client, people[1], people[2])
    address = f"Observation?patient={','.join(people)}"
    assert look.ids(address) == set()
    unmerged(client, people[1])  # with all that were merged into it
    assert look.ids(address) == {weights[2]}
    unmerged(client, people[0])
    assert look.ids(address) == {weights[1], weights[2]}


def test_what_is_purged_leaves_no_rule(
    client: httpx.Client, look: Look, module_database: str
) -> None:
    one, other = _people(client)
    theirs = observed(client, other)
    stored(client, consent(one))
    merged(client, one, other)
    address = f"Observation?patient={other}"
    assert look.ids(address) == set()
    survivor = client.get(f"/Patient/{other}").json()
    del survivor["link"]  # a purge leaves nothing that leads nowhere
    assert client.put(f"/Patient/{other}", json=survivor).status_code == 200
    answer = purge(client, one)
    assert answer.status_code == 200, answer.text
    assert look.ids(address) == {theirs}
    with closing(Store(module_database, pool_size=1)) as store, store.connection() as connection:
        rows = connection.execute(
            "select count(*) from directive where home = %s", (person_comp(one),)
        )
        assert rows.fetchone() == (0,)


def _code() -> dict[str, object]:
    return {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}


def test_what_cannot_be_understood_is_refused_and_nothing_is_stored(client: httpx.Client) -> None:
    one, _ = _people(client)
    given = consent(one)
    del given["policyRule"]
    given["policy"] = [{"uri": "http://benhvien.vn/quy-dinh"}]
    answer = client.post("/Consent", json=given)
    assert answer.status_code == 422, answer.text
    issue = answer.json()["issue"][0]
    assert issue["expression"] == ["Consent.provision.type"]
    assert client.get(f"/Consent?patient={one}").json()["total"] == 0


def test_the_sender_is_told_what_is_not_evaluated(client: httpx.Client) -> None:
    one, _ = _people(client)
    role = {"coding": [{"system": "http://a", "code": "IRCP"}]}
    team = stored(client, {"resourceType": "CareTeam", "status": "active"})
    actor = [{"role": role, "reference": {"reference": f"CareTeam/{team['id']}"}}]
    given = consent(one, {"type": "deny", "actor": actor})
    answer = client.post("/Consent", json=given, headers={"Prefer": "return=OperationOutcome"})
    assert answer.status_code == 201, answer.text
    assert "Consent.provision.actor" in answer.text


def test_a_new_resident_has_said_nothing(client: httpx.Client, look: Look) -> None:
    id_ = stored(client, resident())["id"]
    mine = observed(client, id_)
    assert look.ids(f"Observation?patient={id_}", default="open") == {mine}
    assert look.ids(f"Observation?patient={id_}", default="closed") == set()
