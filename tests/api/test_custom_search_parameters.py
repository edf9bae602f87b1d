"""Search parameters of one's own: defined over HTTP, then searched by.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.own_parameters import (
    URL,
    client_of,
    ids,
    ids_if_ready,
    is_ready,
    issue,
    listed,
    parameter,
    person,
    put,
    within,
)
from api.patients import resident, weight
from servers import Server, serving


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with client_of(server) as client:
        yield client


@pytest.fixture
def fresh(database: str) -> Iterator[httpx.Client]:
    """A client of a server with two processes and a database of its own."""
    with serving(database, "--workers=2") as server, client_of(server) as client:
        yield client


@pytest.mark.smoke
def test_what_was_there_before_is_found_and_what_comes_later(fresh: httpx.Client) -> None:
    old = [put(fresh, person("A", id=f"old-{at}")).json()["id"] for at in range(5)]
    put(fresh, person("B", id="other"))
    put(fresh, {"resourceType": "Patient", "id": "without"})
    assert fresh.get("/Patient?blood=A").status_code == 400
    assert put(fresh, parameter()).status_code == 201
    assert within(20, lambda: is_ready(fresh, "/Patient?blood=A"))
    # Of each process: connections are spread over both.
    for _ in range(20):
        assert within(5, lambda: is_one_s(fresh.base_url, "/Patient?blood=A"))
    put(fresh, person("A", id="new"))
    assert ids(fresh, "/Patient?blood=A") == sorted([*old, "new"])
    assert ids(fresh, "/Patient?blood=B") == ["other"]
    assert ids(fresh, "/Patient?blood:missing=true") == ["without"]
    assert ids(fresh, "/Patient?blood:not=A&_count=2") == ["other", "without"]
    put(fresh, person("B", id="old-0"))
    assert ids(fresh, "/Patient?blood=A") == sorted([*old[1:], "new"])
    assert listed(fresh, "Patient")["blood"] == {
        "name": "blood",
        "definition": URL,
        "type": "token",
    }
    assert "blood" not in listed(fresh, "Observation")
    assert fresh.get("/SearchParameter/blood").json()["code"] == "blood"


def is_one_s(base: httpx.URL, address: str) -> bool:
    """By a connection of its own, which any process may take."""
    return httpx.get(f"{str(base).rstrip('/')}{address}", timeout=10).status_code == 200


def test_an_unknown_parameter_is_unknown_again_once_it_is_deleted(fresh: httpx.Client) -> None:
    put(fresh, person("A", id="a"))
    for take_away in (
        lambda: fresh.delete("/SearchParameter/blood"),
        lambda: put(fresh, parameter(status="retired")),
        lambda: put(fresh, parameter(status="draft")),
    ):
        put(fresh, parameter())
        assert within(20, lambda: is_ready(fresh, "/Patient?blood=A"))
        assert take_away().status_code in (200, 204)
        assert within(5, lambda: fresh.get("/Patient?blood=A").status_code == 400)
        assert within(5, lambda: "blood" not in listed(fresh, "Patient"))


def test_another_expression_leaves_nothing_of_the_one_before(fresh: httpx.Client) -> None:
    put(fresh, person("A", id="a", gender="female"))
    put(fresh, parameter())
    assert within(20, lambda: is_ready(fresh, "/Patient?blood=A"))
    put(fresh, parameter(expression="Patient.gender"))
    assert within(20, lambda: ids_if_ready(fresh, "/Patient?blood=female") == ["a"])
    assert ids(fresh, "/Patient?blood=A") == []


@pytest.mark.parametrize(
    ("definition", "search", "other"),
    [
        (
            {"type": "string", "expression": "Patient.contact.name.family", "code": "next-of-kin"},
            "next-of-kin=tran",
            "next-of-kin=le",
        ),
        (
            {"type": "date", "expression": "Patient.identifier.period", "code": "card-valid"},
            "card-valid=ge2026-01-01",
            "card-valid=lt2020",
        ),
        (
            {
                "type": "reference",
                "expression": "Patient.contact.organization",
                "code": "employer",
                "target": ["Organization"],
            },
            "employer.name=benh",
            "employer=Organization/other",
        ),
        (
            {"type": "number", "expression": "Patient.multipleBirth as integer", "code": "birth"},
            "birth=gt1",
            "birth=1",
        ),
        (
            {"type": "uri", "expression": "Patient.implicitRules", "code": "rules"},
            "rules=http://example.org/rules",
            "rules=http://example.org/others",
        ),
        (
            {"type": "token", "base": ["Resource"], "expression": "Resource.language", "code": "x"},
            "x=vi",
            "x=en",
        ),
    ],
    ids=["string", "date", "reference", "number", "uri", "all types"],
)
def test_each_type_finds_what_it_should(
    client: httpx.Client, definition: dict[str, Any], search: str, other: str
) -> None:
    put(client, {"resourceType": "Organization", "id": "clinic", "name": "Bệnh viện"})
    put(
        client,
        {
            "resourceType": "Patient",
            "id": "rich",
            "language": "vi",
            "implicitRules": "http://example.org/rules",
            "identifier": [{"value": "1", "period": {"start": "2026-01-01"}}],
            "contact": [
                {"name": {"family": "Trần"}, "organization": {"reference": "Organization/clinic"}}
            ],
            "multipleBirthInteger": 2,
        },
    )
    put(client, {"resourceType": "Patient", "id": "poor"})
    made = parameter(id=definition["code"], url=f"{URL}-{definition['code']}", **definition)
    assert put(client, made).status_code in (200, 201), client.get("/").text
    assert within(20, lambda: is_ready(client, f"/Patient?{search}"))
    assert ids(client, f"/Patient?{search}") == ["rich"]
    assert ids(client, f"/Patient?{other}") == []


COMPONENT = "http://hl7.org/fhir/SearchParameter/Observation-component-"


@pytest.mark.parametrize(
    ("code", "second", "kind", "value"),
    [
        ("level", "value-quantity", "Quantity", "gt100||mmHg"),
        ("label", "value-concept", "CodeableConcept", "high"),
    ],
)
def test_a_composite_is_met_by_one_place(
    client: httpx.Client, code: str, second: str, kind: str, value: str
) -> None:
    def component(name: str, number: int, label: str) -> Iterator[dict[str, Any]]:
        of = {"coding": [{"system": "http://example.org/c", "code": name}]}
        yield {"code": of, "valueQuantity": {"value": number, "unit": "mmHg"}}
        yield {"code": of, "valueCodeableConcept": {"coding": [{"code": label}]}}

    for id_, first, last in (("one", 120, 80), ("two", 90, 110)):
        components = [
            *component("sys", first, "high" if first > 100 else "low"),
            *component("dia", last, "high" if last > 100 else "low"),
        ]
        put(client, {**weight("Patient/1"), "id": id_, "component": components} | _NO_SUBJECT)
    definition = parameter(
        id=code,
        url=f"{URL}-{code}",
        code=code,
        base=["Observation"],
        type="composite",
        expression="Observation.component",
        component=[
            {"definition": f"{COMPONENT}code", "expression": "code"},
            {"definition": f"{COMPONENT}{second}", "expression": f"value.as({kind})"},
        ],
    )
    assert put(client, definition).status_code == 201
    assert within(20, lambda: is_ready(client, f"/Observation?{code}=sys${value}"))
    assert ids(client, f"/Observation?{code}=sys${value}") == ["one"]
    assert ids(client, f"/Observation?{code}=dia${value}") == ["two"]
    # The standard's own parameters of the same values are what they were.
    assert ids(client, "/Observation?component-code-value-quantity=sys$gt100||mmHg") == ["one"]
    assert ids(client, "/Observation?component-value-quantity=gt100") == ["one", "two"]


_NO_SUBJECT = {"subject": {"display": "somebody"}}


@pytest.mark.parametrize(
    ("changed", "code", "place", "says"),
    [
        ({"expression": "Patient.nam"}, "invalid", "expression", "character 9"),
        ({"expression": "Patient.name.where("}, "invalid", "expression", "character"),
        ({"expression": "Patient.name.foo()"}, "invalid", "expression", "foo()"),
        (
            {"expression": f"Patient.name.given{'.select($this & $this)' * 60}"},
            "too-costly",
            "expression",
            "at most",
        ),
        (
            {"expression": f"Patient.name.given{'.select(combine($this))' * 60}"},
            "too-costly",
            "expression",
            "at most",
        ),
        (
            {
                "expression": "Patient.name.family"
                + ".where(%resource.descendants()" * 3
                + ".exists())" * 3
            },
            "too-costly",
            "expression",
            "at most",
        ),
        ({"expression": "Observation.code"}, "invalid", "expression", "about Patient"),
        ({"expression": None}, "required", "expression", "nothing to search"),
        ({"expression": "Patient.name"}, "invalid", "type", "HumanName"),
        ({"type": "number", "expression": "Patient.gender"}, "invalid", "type", "code"),
        ({"type": "special"}, "not-supported", "type", "special"),
        ({"code": "name"}, "duplicate", "code", "Patient-name"),
        ({"code": "_mine"}, "invalid", "code", "letters"),
        ({"code": "a.b"}, "invalid", "code", "letters"),
        (
            {
                "type": "composite",
                "expression": "Patient",
                "component": [
                    {"definition": f"{URL}-none", "expression": "name"},
                    {"definition": f"{URL}-none", "expression": "name"},
                ],
            },
            "not-found",
            "component[0].definition",
            "no parameter of the standard",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    client: httpx.Client, changed: dict[str, Any], code: str, place: str, says: str
) -> None:
    id_ = f"bad-{abs(hash(str(changed)))}"
    definition = {k: v for k, v in parameter(id=id_, **changed).items() if v is not None}
    answer = put(client, definition)
    assert answer.status_code == 400
    assert (issue(answer)["code"], issue(answer)["expression"]) == (
        code,
        [f"SearchParameter.{place}"],
    )
    assert says in issue(answer)["details"]["text"]
    assert client.get(f"/SearchParameter/{id_}").status_code == 404
    # A draft is stored: it is not used.
    assert put(client, definition | {"status": "draft"}).status_code == 201


def test_an_unknown_type_is_refused(client: httpx.Client) -> None:
    answer = put(client, parameter(id="bad", base=["Person", "Citizen"]))
    assert answer.status_code == 400
    assert issue(answer)["expression"] == ["SearchParameter.base[1]"]


def test_a_code_that_is_taken_is_refused_and_nothing_of_the_bundle_is_stored(
    client: httpx.Client,
) -> None:
    first = parameter(id="first", code="taken", url=f"{URL}-first")
    assert put(client, first).status_code == 201
    second = parameter(id="second", code="taken", url=f"{URL}-second")
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": resident(id="beside"),
                "request": {"method": "PUT", "url": "Patient/beside"},
            },
            {
                "resource": second,
                "request": {"method": "PUT", "url": "SearchParameter/second"},
            },
        ],
    }
    answer = client.post("/", json=bundle)
    assert (answer.status_code, issue(answer)["code"]) == (422, "duplicate")
    assert issue(answer)["expression"] == ["Bundle.entry[1].resource.code"]
    assert client.get("/Patient/beside").status_code == 404
    assert put(client, first | {"status": "retired"}).status_code == 200
    assert client.post("/", json=bundle).status_code == 200


def test_what_the_standard_has_is_stored_and_adds_nothing(client: httpx.Client) -> None:
    own = parameter(
        id="Patient-name",
        url="http://hl7.org/fhir/SearchParameter/Patient-name",
        code="name",
        type="string",
        expression="Patient.name",
    )
    assert put(client, own).status_code == 201
    same = parameter(
        id="same", url=f"{URL}-same", code="name", type="string", expression="Patient.name"
    )
    assert put(client, same).status_code == 201
    assert listed(client, "Patient")["name"]["definition"] == own["url"]
