"""$meta, $meta-add, $meta-delete: profiles, tags and security labels.

https://hl7.org/fhir/R4/resource-operation-meta.html, resource-operation-meta-add.html,
resource-operation-meta-delete.html
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.patients import resident

TAGS = "http://example.org/tags"
VERY = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
LATE = {"system": TAGS, "code": "late"}


def created(client: httpx.Client, resource: dict[str, Any]) -> str:
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"/{resource['resourceType']}/{answer.json()['id']}"


def tagged(client: httpx.Client, **meta: Any) -> str:
    more = {"meta": meta} if meta else {}
    return created(client, {"resourceType": "Organization", "name": "Trạm y tế", **more})


def posted(client: httpx.Client, address: str, **meta: Any) -> httpx.Response:
    sent = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}
    return client.post(address, json=sent)


def meta_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "Parameters"
    (one,) = answer.json()["parameter"]
    assert one["name"] == "return"
    found: dict[str, Any] = one["valueMeta"]
    return found


def test_meta_of_a_resource_is_that_of_its_current_version(client: httpx.Client) -> None:
    here = tagged(client, tag=[LATE])
    assert meta_of(client.get(f"{here}/$meta")) == client.get(here).json()["meta"]


def test_meta_of_a_version(client: httpx.Client) -> None:
    """ "As a special case, this operation can be performed on a historical version"."""
    here = tagged(client, tag=[LATE])
    posted(client, f"{here}/$meta-delete", tag=[LATE])
    assert meta_of(client.get(f"{here}/_history/1/$meta"))["tag"] == [LATE]
    assert "tag" not in meta_of(client.get(f"{here}/_history/2/$meta"))
    assert client.get(f"{here}/_history/3/$meta").status_code == 404


def test_meta_of_a_type_is_all_labels_in_use(client: httpx.Client) -> None:
    for code in ("a", "b", "a"):
        plain = {"resourceType": "Endpoint", "status": "active", "address": "http://example.org"}
        kind = {"coding": [{"code": "any"}]}
        tag = {"tag": [{"system": TAGS, "code": code}]}
        more = {"connectionType": {"code": "hl7-fhir-rest"}, "payloadType": [kind], "meta": tag}
        created(client, plain | more)
    found = meta_of(client.get("/Endpoint/$meta"))
    assert sorted(one["code"] for one in found["tag"]) == ["a", "b"]
    assert "versionId" not in found


def test_meta_of_the_system(client: httpx.Client) -> None:
    tagged(client, security=[VERY])
    assert VERY in meta_of(client.get("/$meta"))["security"]


def test_labels_are_added(client: httpx.Client) -> None:
    here = tagged(client, tag=[LATE], source="http://example.org/his")
    profile = "http://example.org/StructureDefinition/station"
    answer = posted(client, f"{here}/$meta-add", security=[VERY], profile=[profile])
    found = meta_of(answer)
    assert (found["tag"], found["security"], found["profile"]) == ([LATE], [VERY], [profile])
    assert found["source"] == "http://example.org/his"
    assert found == client.get(here).json()["meta"]


def test_labels_are_sets(client: httpx.Client) -> None:
    """ "The identity of a tag or security label is the system+code ... version and display are
    ignored": what is there already stays as it is."""
    here = tagged(client, tag=[LATE])
    answer = posted(client, f"{here}/$meta-add", tag=[LATE | {"display": "Muộn"}])
    assert meta_of(answer)["tag"] == [LATE]
    assert meta_of(answer)["versionId"] == "1"


def test_labels_are_deleted(client: httpx.Client) -> None:
    early = {"system": TAGS, "code": "early"}
    here = tagged(client, tag=[LATE, early], security=[VERY])
    sent = {"tag": [LATE | {"display": "Muộn"}, {"system": TAGS, "code": "never"}]}
    found = meta_of(posted(client, f"{here}/$meta-delete", **sent))
    assert (found["tag"], found["security"]) == ([early], [VERY])
    found = meta_of(posted(client, f"{here}/$meta-delete", tag=[early]))
    assert "tag" not in found


def test_a_code_of_another_system_is_another_label(client: httpx.Client) -> None:
    here = tagged(client, tag=[LATE])
    other = {"system": "http://example.org/other", "code": "late"}
    assert meta_of(posted(client, f"{here}/$meta-delete", tag=[other]))["tag"] == [LATE]


def test_a_change_of_labels_is_a_version_and_is_found(client: httpx.Client) -> None:
    """Versions are never changed here: the one before has the labels that it had."""
    here = tagged(client)
    mark = {"system": TAGS, "code": here.rpartition("/")[2][:20]}
    answer = posted(client, f"{here}/$meta-add", tag=[mark])
    assert answer.headers["etag"] == 'W/"2"'
    assert "tag" not in client.get(f"{here}/_history/1").json()["meta"]
    found = client.get("/Organization", params={"_tag": f"{TAGS}|{mark['code']}"}).json()
    assert [one["fullUrl"].endswith(here) for one in found["entry"]] == [True]


def test_an_update_holds_what_was_sent(client: httpx.Client) -> None:
    """An update replaces the whole resource, its labels too: who leaves them out takes them away.
    https://hl7.org/fhir/R4/http.html#update"""
    here = tagged(client, tag=[LATE])
    resource = client.get(here).json()
    del resource["meta"]
    assert "tag" not in client.put(here, json=resource).json()["meta"]


def test_labels_of_many_at_once_are_all_there(client: httpx.Client) -> None:
    here = tagged(client)
    codes = [f"t{at}" for at in range(8)]

    def add(code: str) -> int:
        answer = posted(client, f"{here}/$meta-add", tag=[{"system": TAGS, "code": code}])
        return answer.status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(add, codes)) == {200}
    assert sorted(one["code"] for one in client.get(here).json()["meta"]["tag"]) == codes


def test_if_match_is_heeded(client: httpx.Client) -> None:
    here = tagged(client)
    sent = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [LATE]}}],
    }
    answer = client.post(f"{here}/$meta-add", json=sent, headers={"If-Match": 'W/"7"'})
    assert answer.status_code == 412
    answer = client.post(f"{here}/$meta-add", json=sent, headers={"If-Match": 'W/"1"'})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("meta", "named"),
    [
        ({"versionId": "7"}, "versionId"),
        ({}, "profile, security or tag"),
        ({"tag": LATE}, "lists"),
        ({"tag": [{"system": TAGS, "code": 7}]}, "tag"),
        ({"tag": ["late"]}, "tag"),
        ({"profile": [7]}, "profile"),
        ({"tag": [{"system": TAGS, "colour": "red"}]}, "colour"),
    ],
)
def test_what_is_no_meta_is_refused(client: httpx.Client, meta: Any, named: str) -> None:
    here = tagged(client)
    answer = posted(client, f"{here}/$meta-add", **meta)
    assert answer.status_code == 400, answer.text
    assert named in answer.text
    assert client.get(here).json()["meta"]["versionId"] == "1"


def test_what_is_not_there(client: httpx.Client) -> None:
    assert client.get("/Organization/none/$meta").status_code == 404
    assert posted(client, "/Organization/none/$meta-add", tag=[LATE]).status_code == 404
    here = created(client, resident("001174000777"))
    client.delete(here)
    assert client.get(f"{here}/$meta").status_code == 410
    assert posted(client, f"{here}/$meta-add", tag=[LATE]).status_code == 410


def test_a_meta_must_be_sent(client: httpx.Client) -> None:
    here = tagged(client)
    empty = {"resourceType": "Parameters"}
    answer = client.post(f"{here}/$meta-add", json=empty)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["meta"])
    answer = client.get(f"{here}/$meta?tag=late")
    assert answer.status_code == 400
