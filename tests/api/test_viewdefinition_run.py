"""$viewdefinition-run: the rows of a view, as CSV, NDJSON, JSON or Parquet.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html
"""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from api.patients import resident, weight
from servers import Server

pytestmark = pytest.mark.smoke

RUN = "/$viewdefinition-run"
PEOPLE: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "people",
    "status": "active",
    "resource": "Patient",
    "select": [
        {
            "column": [
                {"name": "id", "path": "getResourceKey()", "type": "id"},
                {"name": "family", "path": "name.first().family", "type": "string"},
                {"name": "born", "path": "birthDate", "type": "date"},
            ]
        }
    ],
}
WEIGHTS: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "weights",
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "patient_id", "path": "subject.getReferenceKey(Patient)"},
                {
                    "name": "kg",
                    "path": "value.ofType(Quantity).value",
                    "tag": [{"name": "ansi/type", "value": "DECIMAL(6,2)"}],
                },
            ]
        }
    ],
}


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> Iterator[None]:
    """Two residents, the first of whom was weighed twice."""
    with httpx.Client(base_url=server.fhir) as client:
        sent = [
            resident(id="ngop"),
            resident(id="an", name=[{"family": "Trần", "given": ["An, Jr."]}], birthDate="1960"),
            weight("Patient/ngop") | {"id": "w1"},
            weight("Patient/ngop") | {"id": "w2"},
        ]
        sent[2]["valueQuantity"] = {**sent[2]["valueQuantity"], "value": 52.5}
        sent[3]["valueQuantity"] = {**sent[3]["valueQuantity"], "value": 53}
        for one in sent:
            answer = client.put(f"/{one['resourceType']}/{one['id']}", json=one)
            assert answer.status_code == 201, answer.text
        yield


def _parameters(**given: Any) -> dict[str, Any]:
    names = {"resource": "resource", "viewResource": "resource", "viewReference": "valueReference"}
    names |= {"patient": "valueReference", "_limit": "valueInteger", "header": "valueBoolean"}
    names |= {"_since": "valueInstant", "_format": "valueCode", "group": "valueReference"}
    several = [
        (name, value)
        for name, values in given.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    parameter = [{"name": name, names[name]: value} for name, value in several]
    return {"resourceType": "Parameters", "parameter": parameter}


def _run(client: httpx.Client, path: str = RUN, **given: Any) -> httpx.Response:
    return client.post(path, json=_parameters(**given))


def _rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return sorted((json.loads(line) for line in answer.text.splitlines()), key=str)


PEOPLE_ROWS = [
    {"id": "an", "family": "Trần", "born": "1960"},
    {"id": "ngop", "family": "Phạm", "born": "1974-05-20"},
]


def test_the_rows_of_what_is_kept_come_as_ndjson(client: httpx.Client) -> None:
    answer = _run(client, viewResource=PEOPLE)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert _rows(answer) == PEOPLE_ROWS


@pytest.mark.parametrize(
    "path", [RUN, "/ViewDefinition/$viewdefinition-run", "/ViewDefinition/$run"]
)
def test_all_addresses_of_the_operation_are_there(client: httpx.Client, path: str) -> None:
    """Of the system, which R4 has, and of the type, which later versions have."""
    assert _rows(_run(client, path, viewResource=PEOPLE)) == PEOPLE_ROWS


def test_a_view_may_be_posted_by_itself(client: httpx.Client) -> None:
    assert _rows(client.post(RUN, json=PEOPLE, params={"_format": "ndjson"})) == PEOPLE_ROWS


def test_csv_begins_with_the_names_unless_they_are_not_wanted(client: httpx.Client) -> None:
    answer = _run(client, viewResource=PEOPLE, _format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["id", "family", "born"]
    assert sorted(rows[1:]) == [["an", "Trần", "1960"], ["ngop", "Phạm", "1974-05-20"]]
    bare = _run(client, viewResource=PEOPLE, _format="csv", header=False)
    assert sorted(csv.reader(io.StringIO(bare.text))) == sorted(rows[1:])


def test_json_is_an_array_of_objects(client: httpx.Client) -> None:
    answer = _run(client, viewResource=PEOPLE, _format="json")
    assert answer.headers["content-type"] == "application/json"
    assert sorted(answer.json(), key=str) == sorted(PEOPLE_ROWS, key=str)
    none = PEOPLE | {"where": [{"path": "gender = 'other'"}]}
    assert _run(client, viewResource=none, _format="json").json() == []


def test_parquet_has_the_types_that_tags_ask_for(client: httpx.Client) -> None:
    answer = _run(client, viewResource=WEIGHTS, _format="parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert [str(field.type) for field in table.schema] == ["string", "decimal128(6, 2)"]
    found = sorted((row["patient_id"], str(row["kg"])) for row in table.to_pylist())
    assert found == [("ngop", "52.50"), ("ngop", "53.00")]


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/octet-stream", "application/vnd.apache.parquet"),
        ("application/x-ndjson;q=0.1, text/csv", "text/csv; charset=utf-8"),
        ("*/*", "application/x-ndjson"),
    ],
)
def test_accept_chooses_the_format(client: httpx.Client, accept: str, type_: str) -> None:
    sent = _parameters(viewResource=PEOPLE)
    answer = client.post(RUN, json=sent, headers={"Accept": accept})
    assert answer.headers["content-type"] == type_


def test_a_format_that_is_not_served_is_refused(client: httpx.Client) -> None:
    sent = _parameters(viewResource=PEOPLE)
    refused = client.post(RUN, json=sent, headers={"Accept": "image/png"})
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (406, "not-supported")
    refused = _run(client, viewResource=PEOPLE, _format="xml")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-supported")
    assert refused.json()["issue"][0]["expression"] == ["_format"]


def test_limit_patient_and_since_narrow_the_rows(client: httpx.Client) -> None:
    assert len(_rows(_run(client, viewResource=PEOPLE, _limit=1))) == 1
    assert _rows(_run(client, viewResource=PEOPLE, _limit=0)) == []
    an = {"reference": "Patient/an"}
    assert _rows(_run(client, viewResource=PEOPLE, patient=an)) == PEOPLE_ROWS[:1]
    assert _rows(_run(client, viewResource=WEIGHTS, patient=an)) == []
    assert _rows(_run(client, viewResource=PEOPLE, _since="2020-01-01T00:00:00Z")) == PEOPLE_ROWS
    assert _rows(_run(client, viewResource=PEOPLE, _since="2100-01-01T00:00:00Z")) == []


@pytest.mark.parametrize("limit", [-1, 2**31, 2**70])
def test_a_limit_is_an_integer_of_32_bits(client: httpx.Client, limit: int) -> None:
    """ "A signed integer in the range -2,147,483,648..2,147,483,647":
    https://hl7.org/fhir/R4/datatypes.html#integer."""
    for refused in (
        _run(client, viewResource=PEOPLE, _limit=limit),
        client.get(RUN, params={"viewReference": "Library/people", "_limit": limit}),
    ):
        assert refused.status_code == 400, refused.text
        assert refused.json()["issue"][0]["expression"] == ["_limit"]
    most = _run(client, viewResource=PEOPLE, _limit=2**31 - 1)
    assert _rows(most) == PEOPLE_ROWS


def test_what_is_deleted_or_replaced_has_no_row(client: httpx.Client) -> None:
    added = client.post("/Patient", json=resident(name=[{"family": "Đỗ"}])).json()
    assert "Đỗ" in _run(client, viewResource=PEOPLE).text
    added["name"] = [{"family": "Võ"}]
    assert client.put(f"/Patient/{added['id']}", json=added).status_code == 200
    told = _run(client, viewResource=PEOPLE).text
    assert "Võ" in told
    assert "Đỗ" not in told
    client.delete(f"/Patient/{added['id']}")
    assert _rows(_run(client, viewResource=PEOPLE)) == PEOPLE_ROWS


def test_resources_that_come_along_are_used_in_place_of_those_kept(client: httpx.Client) -> None:
    sent = [resident(id="x", name=[{"family": "Mới"}]), {"resourceType": "Basic", "id": "b"}]
    sent[1]["code"] = {"text": "khác"}
    assert [row["family"] for row in _rows(_run(client, viewResource=PEOPLE, resource=sent))] == [
        "Mới"
    ]
    broken = [{"resourceType": "Patient", "name": "Mới"}]
    refused = _run(client, viewResource=PEOPLE, resource=broken)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["resource[0].resource.name"]


def test_all_that_is_wrong_with_a_view_is_told_before_it_is_run(client: httpx.Client) -> None:
    """Each finding has its place; nothing is read."""
    wrong = PEOPLE | {
        "select": [
            {"column": [{"name": "1st", "path": "id"}, {"name": "a", "path": "nmae"}]},
            {"colum": []},
        ]
    }
    refused = _run(client, viewResource=wrong)
    assert refused.status_code == 422
    assert [issue["expression"] for issue in refused.json()["issue"]] == [
        ["ViewDefinition.select[0].column[0].name"],
        ["ViewDefinition.select[1].colum"],
        ["ViewDefinition.select[1]"],
    ]
    path = PEOPLE | {"select": [{"column": [{"name": "a", "path": "nmae"}]}]}
    (issue,) = _run(client, viewResource=path).json()["issue"]
    assert issue["expression"] == ["ViewDefinition.select[0].column[0].path"]
    assert "'nmae'" in issue["details"]["text"]


def test_several_values_where_one_is_held_are_refused(client: httpx.Client) -> None:
    given = PEOPLE | {"select": [{"column": [{"name": "given", "path": "name.given"}]}]}
    refused = _run(client, viewResource=given)
    assert refused.status_code == 422
    told = refused.json()["issue"][0]["details"]["text"]
    assert "given" in told
    assert "Patient/ngop" in told
    assert "first()" in told


def _library(view: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = b64encode(json.dumps(view).encode()).decode()
    return {
        "resourceType": "Library",
        "status": "active",
        "type": {"text": "view"},
        "content": [{"contentType": "application/json", "data": data}],
        **more,
    }


def test_a_view_is_kept_as_a_library_and_named_by_address_or_canonical(
    client: httpx.Client,
) -> None:
    url = "http://example.org/views/people"
    for version in ("1", "2"):
        kept = _library(PEOPLE, id=f"people-{version}", url=url, version=version)
        assert client.put(f"/Library/people-{version}", json=kept).status_code == 201
    for text in ("Library/people-1", f"{client.base_url}Library/people-1", f"{url}|2"):
        assert _rows(_run(client, viewReference={"reference": text})) == PEOPLE_ROWS
    for name in ("$viewdefinition-run", "$run"):
        answer = client.get(f"/ViewDefinition/people-1/{name}", params={"_format": "csv"})
        assert answer.text.startswith("id,family,born\r\n")
    answer = client.get(RUN, params={"viewReference": "Library/people-1", "patient": "Patient/an"})
    assert _rows(answer) == PEOPLE_ROWS[:1]
    several = _run(client, viewReference={"reference": url})
    assert several.status_code == 422


def test_a_view_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    for text in ("Library/none", "http://example.org/none"):
        assert _run(client, viewReference={"reference": text}).status_code == 404
    none = _library({"resourceType": "Patient"}, id="no-view")
    client.put("/Library/no-view", json=none)
    refused = _run(client, viewReference={"reference": "Library/no-view"})
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (
        422,
        ["Library.content.data"],
    )


@pytest.mark.parametrize(
    ("given", "expression"),
    [
        ({}, ["viewResource", "viewReference"]),
        ({"viewResource": PEOPLE, "patient": {"reference": "Patient/none"}}, ["patient"]),
        ({"viewResource": PEOPLE, "patient": {"reference": "Group/1"}}, ["patient"]),
        ({"viewResource": PEOPLE, "group": {"reference": "Group/1"}}, ["group"]),
        ({"viewResource": PEOPLE, "_since": "yesterday"}, ["_since"]),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(
    client: httpx.Client, given: dict[str, Any], expression: list[str]
) -> None:
    refused = _run(client, **given)
    assert refused.status_code == 400, refused.text
    assert refused.json()["issue"][0]["expression"] == expression


NOTES: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "resource": "Basic",
    "select": [{"column": [{"name": "code", "path": "code.coding.code", "type": "code"}]}],
}


@pytest.fixture(scope="module")
def notes(server: Server) -> int:
    """So many resources that their rows do not fit into the first pieces; the last alone, in the
    order in which they are read, has two values in a column of one."""
    count = 4_500
    with httpx.Client(base_url=server.fhir, timeout=60) as client:
        for start in range(0, count, 500):
            entries = [_note(number, is_last=number == count - 1) for number in _run_of(start)]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = client.post("/", json=bundle)
            assert answer.status_code == 200, answer.text
    return count


def _run_of(start: int) -> range:
    return range(start, start + 500)


def _note(number: int, *, is_last: bool) -> dict[str, Any]:
    codes = [{"code": f"n{number}"}, *([{"code": "second"}] if is_last else [])]
    resource = {
        "resourceType": "Basic",
        "code": {"coding": codes},
        "subject": {"reference": "Patient/ngop"},
    }
    return {"resource": resource, "request": {"method": "POST", "url": "Basic"}}


def test_many_rows_stream(client: httpx.Client, notes: int) -> None:
    """MAY use chunked transfer encoding: the length is not known before the end."""
    first = NOTES | {"select": [{"column": [{"name": "c", "path": "code.coding.first().code"}]}]}
    answer = _run(client, viewResource=first)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    found = {row["c"] for row in _rows(answer)}
    assert found == {f"n{number}" for number in range(notes)}


@pytest.mark.usefixtures("notes")
def test_what_fails_after_rows_were_sent_breaks_the_answer_off(client: httpx.Client) -> None:
    """Never a body that looks whole and is not."""
    with pytest.raises(httpx.RemoteProtocolError):
        _run(client, viewResource=NOTES)
    assert len(_rows(_run(client, viewResource=NOTES, _limit=4_000))) == 4_000
    assert _rows(_run(client, viewResource=PEOPLE)) == PEOPLE_ROWS


def test_an_entry_of_a_bundle_cannot_hold_a_table(client: httpx.Client) -> None:
    request = {"method": "POST", "url": "$viewdefinition-run"}
    entry = {"resource": _parameters(viewResource=PEOPLE), "request": request}
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    (answer,) = client.post("/", json=sent).json()["entry"]
    assert answer["response"]["status"].startswith("400")
