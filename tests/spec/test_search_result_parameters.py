"""https://hl7.org/fhir/R4/search.html#return: what shapes the answer and not what is found."""

from typing import Any

import httpx
import pytest

from ehr_server.access import directories, find
from searching import Record

covers = pytest.mark.covers

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
}  # fmt: skip
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">Hoa</div>'


def _patient(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": id_, "gender": "female",
        "text": {"status": "generated", "div": DIV}, "name": [{"family": "Hoa"}],
        "maritalStatus": {"text": "x"}, "photo": [{"title": "x"}], **rest,
    }  # fmt: skip


RECORD = [
    *(_patient(f"p{number}", birthDate=f"199{number}-01-01") for number in range(5)),
    {
        "resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
        "subject": {"reference": "Patient/p1"}, "note": [{"text": "x"}],
        "text": {"status": "generated", "div": DIV}, "method": {"text": "x"},
    },
]  # fmt: skip


@pytest.fixture(autouse=True)
def _filled(here: Record) -> None:
    """The record and the server share a database."""


def ask(client: httpx.Client, address: str, *, status: int = 200) -> dict[str, Any]:
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    return answer.json()  # type: ignore[no-any-return]


def _keys(bundle: dict[str, Any]) -> set[str]:
    (entry,) = bundle["entry"]
    return set(entry["resource"])


def _links(bundle: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


@covers("result", "_count")
@pytest.mark.parametrize(
    ("count", "entries"), [("2", 2), ("5", 5), ("50", 5), ("100000", 5), ("1", 1)]
)
def test_a_page_has_so_many(client: httpx.Client, count: str, entries: int) -> None:
    bundle = ask(client, f"/Patient?_count={count}")
    assert len(bundle["entry"]) == entries
    assert bundle["total"] == 5
    assert ("next" in _links(bundle)) == (entries < 5)


@covers("result", "_count")
def test_no_page_at_all_is_the_total_alone(client: httpx.Client) -> None:
    """ "If _count has the value 0, this shall be treated the same as _summary=count"."""
    for asked in ("_count=0", "_summary=count", "_summary=count&_count=3", "_count=0&_total=none"):
        bundle = ask(client, f"/Patient?gender=female&{asked}")
        assert bundle["total"] == 5
        assert "entry" not in bundle
        assert set(_links(bundle)) == {"self"}
    assert ask(client, "/Patient?gender=male&_count=0")["total"] == 0


@covers("result", "_total")
def test_the_total_is_told_as_it_is_asked_for(client: httpx.Client) -> None:
    assert "total" not in ask(client, "/Patient?_total=none&_count=2")
    assert "total" not in ask(client, "/Patient?_total=none")
    assert ask(client, "/Patient?_total=accurate&_count=2")["total"] == 5
    assert ask(client, "/Patient?_total=estimate&_count=2")["total"] == 5
    assert ask(client, "/Patient?_count=2")["total"] == 5


@covers("result", "_total")
def test_where_there_are_many_the_total_is_told_on_demand(
    here: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "FEW", 3)
    monkeypatch.setattr(directories, "BELIEVED", 3)

    def total(asked: str) -> int | None:
        return here.run(here.query(f"Patient?_count=2{asked}")).total

    assert total("") is None
    assert total("&_total=none") is None
    assert total("&_total=accurate") == 5
    estimated = total("&_total=estimate")
    assert estimated is not None
    assert estimated >= 4


@covers("result", "_summary")
@pytest.mark.parametrize(
    ("mode", "there", "gone"),
    [
        # "just those elements marked as summary elements"
        ("true", {"id", "meta", "name", "gender", "birthDate"}, {"text", "maritalStatus", "photo"}),
        # "only the text, id, meta, and top-level mandatory elements"
        ("text", {"id", "meta", "text"}, {"name", "gender", "birthDate", "photo"}),
        # "remove the text element"
        ("data", {"id", "meta", "name", "gender", "birthDate", "maritalStatus", "photo"}, {"text"}),
        ("false", {"id", "meta", "name", "text", "photo"}, set()),
    ],
)
def test_a_summary_leaves_out(
    client: httpx.Client, mode: str, there: set[str], gone: set[str]
) -> None:
    bundle = ask(client, f"/Patient?_id=p1&_summary={mode}")
    assert there <= _keys(bundle)
    assert not gone & _keys(bundle)
    tags = bundle["entry"][0]["resource"]["meta"].get("tag", [])
    assert (SUBSETTED in tags) == (mode != "false")
    assert bundle["total"] == 1


@covers("result", "_summary")
def test_a_summary_keeps_what_is_mandatory(client: httpx.Client) -> None:
    assert _keys(ask(client, "/Observation?_summary=text")) == {
        "resourceType", "id", "meta", "text", "status", "code",
    }  # fmt: skip


@covers("result", "_elements")
@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("name", {"name"}),
        ("name,birthDate", {"name", "birthDate"}),
        ("Patient.name", {"name"}),
        ("id", set()),
        ("active", set()),  # a modifier, had it one
    ],
)
def test_only_the_elements_asked_for_come(client: httpx.Client, asked: str, keys: set[str]) -> None:
    bundle = ask(client, f"/Patient?_id=p1&_elements={asked}")
    assert _keys(bundle) == {"resourceType", "id", "meta", *keys}
    assert SUBSETTED in bundle["entry"][0]["resource"]["meta"]["tag"]


@covers("result", "_elements")
def test_mandatory_elements_come_unasked(client: httpx.Client) -> None:
    assert _keys(ask(client, "/Observation?_elements=note")) == {
        "resourceType", "id", "meta", "status", "code", "note",
    }  # fmt: skip


@covers("result", "_sort")
def test_links_lead_to_the_first_previous_and_next_page(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#paging"""
    asked = "/Patient?gender=female&_sort=birthdate&_count=2&_elements=birthDate"

    def ids(bundle: dict[str, Any]) -> list[str]:
        return [entry["resource"]["id"] for entry in bundle["entry"]]

    first = ask(client, asked)
    assert set(_links(first)) == {"self", "next"}
    second = ask(client, _links(first)["next"])
    assert set(_links(second)) == {"self", "first", "previous", "next"}
    third = ask(client, _links(second)["next"])
    assert set(_links(third)) == {"self", "first", "previous"}
    assert [ids(one) for one in (first, second, third)] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert {one["total"] for one in (first, second, third)} == {5}
    assert ids(ask(client, _links(third)["previous"])) == ["p2", "p3"]
    back = ask(client, _links(second)["previous"])
    assert ids(back) == ["p0", "p1"]
    assert ids(ask(client, _links(third)["first"])) == ["p0", "p1"]
    assert ids(ask(client, _links(back)["next"])) == ["p2", "p3"]
    assert _keys({"entry": third["entry"]}) == {"resourceType", "id", "meta", "birthDate"}


def test_a_page_of_another_search_is_refused(client: httpx.Client) -> None:
    page = _links(ask(client, "/Patient?gender=female&_count=2"))["next"].rpartition("_page=")[2]
    refusal = ask(client, f"/Patient?gender=male&_count=2&_page={page}", status=400)
    assert "begin again" in refusal["issue"][0]["details"]["text"]


@pytest.mark.parametrize("extra", ["_totalMethod=count", "_format=json", "_pretty=true"])
def test_what_changes_nothing_is_let_by(client: httpx.Client, extra: str) -> None:
    bundle = ask(client, f"/Patient?gender=female&{extra}")
    assert bundle["total"] == 5


def test_self_says_what_was_searched_and_links_keep_it(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/search.html#conformance"""
    bundle = ask(client, "/Patient?gender=female&_totalMethod=count&_count=2")
    assert _links(bundle)["self"].endswith("/Patient?gender=female&_count=2")
    headers = {"Prefer": "handling=lenient"}
    lenient = client.get("/Patient?gender=female&nmae=x&_count=2", headers=headers).json()
    assert _links(lenient)["self"].endswith("/Patient?gender=female&_count=2")
    assert [entry["search"]["mode"] for entry in lenient["entry"]] == ["match", "match", "outcome"]
