"""$unmerge: a merge is taken back, and both records are as they were.

An operation of this server: docs/guides/merging.md.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

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
    unmerged,
    version,
)
from servers import Server

pytestmark = pytest.mark.smoke


@pytest.fixture
def pair(client: httpx.Client) -> tuple[str, str]:
    """Two records of one person, which have more than a number: source and target."""
    facility = {"use": "usual", "system": MRN, "value": new_number()}
    address = [{"text": "Thôn 3, Tiến Thắng"}]
    tag = {"tag": [{"system": "http://example.org", "code": "checkup"}]}
    number = {"system": "http://fhir.hl7.org.vn/core/sid/cccd", "value": new_number()}
    source = person(client, "", identifier=[number, facility], address=address, meta=tag)
    return source, person(client, new_number(), active=True)


def test_both_are_exactly_as_before(client: httpx.Client, pair: tuple[str, str]) -> None:
    """As new versions: the history tells of the merge for ever."""
    source, target = pair
    before = [_bytes(client, id_, 1) for id_ in pair]
    merged(client, source, target)
    answer = unmerge(client, source, target)
    assert answer.status_code == 200, answer.text
    assert [_bytes(client, id_, 3) for id_ in pair] == before
    assert part(answer, "source") == client.get(f"/Patient/{source}").json()
    assert part(answer, "target") == client.get(f"/Patient/{target}").json()
    for id_ in pair:
        assert client.get(f"/Patient/{id_}/_history").json()["total"] == 3


def test_what_was_written_meanwhile_stays_with_its_record(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    source, target = pair
    old = {observed(client, source)}, {observed(client, target)}
    merged(client, source, target)
    here, there = old[0] | {observed(client, source)}, old[1] | {observed(client, target)}
    assert found(client, f"Observation?patient={source}") == here | there
    unmerged(client, source)
    assert found(client, f"Observation?patient={source}") == here
    assert found(client, f"Patient/{target}/Observation") == there


def test_updates_since_then_stay(client: httpx.Client, pair: tuple[str, str]) -> None:
    """What the merge added goes, a number in whatever form it is by now; all else stays."""
    source, target = pair
    before, first = content(client, target), content(client, source)
    merged(client, source, target)
    phone = [{"system": "phone", "value": "0912345678"}]
    now = content(client, target)
    later = {"system": MRN, "value": new_number()}
    assert len(now["identifier"]) == 3
    kept = [*now["identifier"][:2], {**now["identifier"][2], "use": "secondary"}, later]
    update = {**now, "telecom": phone, "active": False, "identifier": kept}
    assert client.put(f"/Patient/{target}", json=update).status_code == 200
    corrected = {**content(client, source), "gender": "male"}
    assert client.put(f"/Patient/{source}", json=corrected).status_code == 200
    unmerged(client, source)
    assert content(client, source) == {**first, "gender": "male"}
    left = [*before["identifier"], later]
    assert content(client, target) == {
        **before,
        "telecom": phone,
        "active": False,
        "identifier": left,
    }


def test_a_target_that_the_sender_made_is_taken_back_too(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    source, target = pair
    before = content(client, target)
    link = {"other": referring(source), "type": "replaces"}
    result = {**before, "link": [link], "birthDate": "1974-05-21", "active": False}
    merge(client, source, target, {"name": "result-patient", "resource": result})
    assert content(client, target)["birthDate"] == "1974-05-21"
    now = content(client, target)
    client.put(f"/Patient/{target}", json={**now, "gender": "male"})
    unmerged(client, source)
    assert content(client, target) == {**before, "gender": "male"}


def test_two_who_have_one_number_again_are_listed_for_review(client: httpx.Client) -> None:
    """As when they came: a second holder is stored, and a human decides which of them it is."""
    card = new_number()
    source, target = person(client, card), person(client, card)
    merged(client, source, target)
    assert found(client, f"Patient?identifier={card}") == {target}
    before = client.get("/Task?code=same-person&_summary=count").json()["total"]
    answer = unmerge(client, source)
    assert answer.status_code == 200, answer.text
    assert "Task/" in str(part(answer, "outcome"))
    assert client.get("/Task?code=same-person&_summary=count").json()["total"] == before
    assert found(client, f"Patient?identifier={card}") == {source, target}


class TestInAChain:
    """A record takes along what was merged into it, and leaves nothing of itself further up."""

    @pytest.fixture
    def chain(self, client: httpx.Client) -> tuple[str, str, str]:
        first, second, third = (person(client, new_number()) for _ in range(3))
        merged(client, first, second)
        merged(client, second, third)
        return first, second, third

    def test_the_last_merge_alone(self, client: httpx.Client, chain: tuple[str, str, str]) -> None:
        first, second, third = chain
        seen = [observed(client, one) for one in chain]
        unmerged(client, second)
        assert found(client, f"Observation?patient={first}") == set(seen[:2])
        assert found(client, f"Observation?patient={third}") == {seen[2]}
        assert _bytes(client, third, 3) == _bytes(client, third, 1)
        assert _bytes(client, second, 4) == _bytes(client, second, 2)
        unmerged(client, first)
        assert _bytes(client, second, 5) == _bytes(client, second, 1)

    def test_the_first_merge_alone(self, client: httpx.Client, chain: tuple[str, str, str]) -> None:
        first, second, third = chain
        seen = [observed(client, one) for one in chain]
        unmerged(client, first)
        assert found(client, f"Observation?patient={first}") == {seen[0]}
        assert found(client, f"Observation?patient={second}") == set(seen[1:])
        (own,) = content(client, first)["identifier"]
        numbers = [one["value"] for one in content(client, third)["identifier"]]
        assert own["value"] not in numbers
        assert len(numbers) == 2
        assert found(client, f"Patient?identifier={own['value']}") == {first}
        unmerged(client, second)
        for one in chain:
            assert content(client, one) == version(client, one, "/_history/1")
        assert merge(client, third, first).status_code == 200


def test_a_number_further_down_that_the_other_took_is_listed_too(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/task.html: of records that are not written by it, but part."""
    card = new_number()
    first = person(client, card)
    second, third = person(client, ""), person(client, "")
    merged(client, first, second)
    dropped = [{"op": "remove", "path": "/identifier"}]
    patch = {"Content-Type": "application/json-patch+json"}
    answer = client.patch(f"/Patient/{second}", content=json.dumps(dropped), headers=patch)
    assert answer.status_code == 200
    merged(client, second, third)
    taking = {**content(client, third), "identifier": content(client, first)["identifier"]}
    assert client.put(f"/Patient/{third}", json=taking).status_code == 200
    answer = unmerge(client, second)
    assert answer.status_code == 200, answer.text
    (told,) = [one for one in part(answer, "outcome")["issue"] if "Task/" in str(one)]
    id_ = told["details"]["text"].partition("Task/")[2].split()[0]
    task = client.get(f"/Task/{id_}").json()
    assert (task["focus"], task["for"]) == (referring(first), referring(third))
    assert card not in str(task)


@pytest.mark.parametrize("again", [1, 2])
def test_merged_anew_and_the_other_way_round(
    server: Server, client: httpx.Client, pair: tuple[str, str], again: int
) -> None:
    source, target = pair if again == 1 else pair[::-1]
    merged(client, *pair)
    unmerged(client, pair[0])
    with psycopg.connect(server.database_url or "") as connection:
        count = "select count(*) from merged where id = any(%s)"
        assert connection.execute(count, (list(pair),)).fetchone() == (0,)
    merged(client, source, target)
    unmerged(client, source)
    for id_ in pair:
        assert content(client, id_) == version(client, id_, "/_history/1")


def test_a_provenance_tells_of_it(client: httpx.Client, pair: tuple[str, str]) -> None:
    """Of the merge, and of what took it back."""
    source, target = pair
    merged(client, source, target)
    unmerged(client, source)
    told = client.get(f"/Provenance?target=Patient/{target}&_sort=_lastUpdated").json()["entry"]
    codes = [one["resource"]["activity"]["coding"][0]["code"] for one in told]
    assert codes == ["merge", "unmerge"]
    assert told[1]["resource"]["target"] == [referring(f"{one}/_history/3") for one in pair]


def test_a_changed_provenance_changes_nothing(client: httpx.Client, pair: tuple[str, str]) -> None:
    """What is taken back is told by its first version."""
    source, target = pair
    merged(client, source, target)
    (told,) = client.get(f"/Provenance?target=Patient/{target}").json()["entry"]
    provenance = told["resource"]
    address = f"/Provenance/{provenance['id']}"
    other = {**provenance, "entity": provenance["entity"][:1]}
    assert client.put(address, json=other).status_code == 200
    assert client.delete(address).status_code == 204
    unmerged(client, source)
    assert content(client, target) == version(client, target, "/_history/1")


def test_which_version_is_meant(client: httpx.Client, pair: tuple[str, str]) -> None:
    """https://hl7.org/fhir/R4/http.html#concurrency: If-Match is the target's."""
    source, target = pair
    merged(client, source, target)
    assert unmerge(client, source, If_Match='W/"1"').status_code == 412
    assert unmerge(client, f"{source}/_history/1").status_code == 412
    assert unmerge(client, source, f"{target}/_history/1").status_code == 412
    assert unmerge(client, f"{source}/_history/2", If_Match='W/"2"').status_code == 200


def test_a_preview_stores_nothing(client: httpx.Client, pair: tuple[str, str]) -> None:
    source, target = pair
    merged(client, source, target)
    before = [client.get(f"/Patient/{id_}").content for id_ in pair]
    answer = unmerge(client, source, "", {"name": "preview", "valueBoolean": True})
    assert answer.status_code == 200, answer.text
    assert "link" not in part(answer, "source")
    assert [client.get(f"/Patient/{id_}").content for id_ in pair] == before
    seen = observed(client, source)
    assert found(client, f"Observation?patient={target}") == {seen}


def test_what_was_not_merged_is_refused(client: httpx.Client, pair: tuple[str, str]) -> None:
    source, target = pair
    third = person(client, new_number())
    assert unmerge(client, source).status_code == 422
    merged(client, source, target)
    assert unmerge(client, source, third).status_code == 422
    assert unmerge(client, target).status_code == 422
    assert unmerge(client, "never").status_code == 422
    assert unmerge(client, "").status_code == 400
    unmerged(client, source)
    assert unmerge(client, source).status_code == 422


def test_one_of_many_at_once(server: Server, client: httpx.Client, pair: tuple[str, str]) -> None:
    source, target = pair
    merged(client, source, target)

    def run(_: int) -> int:
        with httpx.Client(base_url=server.fhir, timeout=60) as http:
            return unmerge(http, source).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(run, range(8)))
    assert statuses == {200: 1, 422: 7}
    for id_ in pair:
        assert client.get(f"/Patient/{id_}/_history").json()["total"] == 3


def _bytes(client: httpx.Client, id_: str, ver: int) -> str:
    """The content of a version, without what each version has of its own."""
    text = client.get(f"/Patient/{id_}/_history/{ver}").text
    start = text.index('"versionId"')
    return text[:start] + text[text.index('Z"', start) + 2 :]
