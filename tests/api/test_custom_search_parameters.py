"""Search parameters of one's own: defined over HTTP, built while serving, then searched by.

https://hl7.org/fhir/R4/searchparameter.html
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import resident, weight
from api.test_command_line import run
from ehr_server.fhir import json
from servers import Server, serving
from tarballs import guide, written

BLOOD = "http://example.org/fhir/StructureDefinition/blood"
URL = "http://example.org/fhir/SearchParameter/patient-blood"


def parameter(**changed: Any) -> dict[str, Any]:
    """A parameter `blood` of Patient, by the code in an extension."""
    return {
        "resourceType": "SearchParameter",
        "id": "blood",
        "url": URL,
        "name": "Blood",
        "status": "active",
        "description": "Blood group",
        "code": "blood",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension.where(url = '{BLOOD}').value",
    } | changed


def person(group: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "extension": [{"url": BLOOD, "valueCode": group}],
        **more,
    }


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def put(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.put(f"/{resource['resourceType']}/{resource['id']}", content=json.write(resource))


def is_ready(client: httpx.Client, address: str) -> bool:
    return client.get(address).status_code == 200


def ids(client: httpx.Client, address: str) -> list[str]:
    """All that a search finds, over its pages, sorted."""
    found: list[str] = []
    while address:
        page = client.get(address).json()
        found += [entry["resource"]["id"] for entry in page.get("entry", ())]
        links = {link["relation"]: link["url"] for link in page["link"]}
        address = links.get("next", "")
    return sorted(found)


def listed(client: httpx.Client, type_name: str) -> dict[str, dict[str, str]]:
    """By code the parameters of the type in the CapabilityStatement."""
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    (here,) = [one for one in resources if one["type"] == type_name]
    return {one["name"]: one for one in here["searchParam"]}


def issue(answer: httpx.Response) -> dict[str, Any]:
    first: dict[str, Any] = answer.json()["issue"][0]
    return first


@contextmanager
def client_of(server: Server) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=server.fhir, timeout=30, headers=headers) as client:
        yield client


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


def ids_if_ready(client: httpx.Client, address: str) -> list[str] | None:
    return ids(client, address) if is_ready(client, address) else None


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


@pytest.mark.smoke
def test_until_the_index_is_complete_searches_are_told_how_far_it_is(database: str) -> None:
    with serving(database, no_worker="yes") as server, client_of(server) as client:
        put(client, person("A", id="a", managingOrganization={"display": "x"}))
        put(client, parameter())
        for address in (
            "/Patient?blood=A",
            "/Patient?_filter=blood eq A",
            "/Observation?subject:Patient.blood=A",
            "/Organization?_has:Patient:organization:blood=A",
            "/Patient?_sort=blood",
        ):
            answer = client.get(address)
            assert (answer.status_code, issue(answer)["code"]) == (503, "transient"), address
            assert int(answer.headers["Retry-After"]) > 0
            assert (
                "blood of Patient is still being built. 0 percent"
                in issue(answer)["details"]["text"]
            )
        lenient = client.get("/Patient?blood=A", headers={"Prefer": "handling=lenient"})
        assert lenient.status_code == 503
        assert client.get("/Patient").json()["total"] == 1
        assert "blood" not in listed(client, "Patient")
        put(client, person("A", id="b"))
        # Whoever has no worker builds it by hand.
        done = run("reindex", "--database-url", database)
        assert "reindex" not in done.stderr
        assert within(5, lambda: ids_if_ready(client, "/Patient?blood=A") == ["a", "b"])


def test_what_is_taken_away_is_built_no_more(database: str) -> None:
    with serving(database, no_worker="yes") as server, client_of(server) as client:
        put(client, person("A", id="a"))
        put(client, parameter())
        assert client.delete("/SearchParameter/blood").status_code == 204
        assert client.get("/Patient?blood=A").status_code == 400
    with psycopg.connect(database) as connection:
        assert connection.execute("select state from job").fetchall() == [("cancelled",)]


def test_a_server_that_is_killed_goes_on_where_it_was(database: str) -> None:
    with serving(database) as server, client_of(server) as client:
        _many(client, 6_000)
    with serving(database, lease_s="1") as server, client_of(server) as client:
        put(client, parameter())
        assert within(20, lambda: _parts(database) >= 2)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    before = _parts(database)
    with serving(database, lease_s="1") as server, client_of(server) as client:
        assert within(60, lambda: is_ready(client, "/Patient?blood=A"))
        found = client.get("/Patient?blood=A&_summary=count&_total=accurate").json()["total"]
        assert found == 6_000
        assert _parts(database) > before


def _many(client: httpx.Client, count: int) -> None:
    for start in range(0, count, 1_000):
        entries = [
            {"resource": person("A"), "request": {"method": "POST", "url": "Patient"}}
            for _ in range(start, min(start + 1_000, count))
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert client.post("/", json=bundle, timeout=60).status_code == 200


def _parts(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from job_part").fetchone()
    return 0 if row is None else int(row[0])


@pytest.mark.smoke
def test_nothing_that_is_written_meanwhile_is_missed(database: str) -> None:
    """Two processes under constant writing, while the parameter comes and changes."""
    with serving(database, "--workers=2") as server:
        writers = [_Writer(server, number) for number in range(4)]
        with client_of(server) as client:
            time.sleep(0.5)
            for round_ in range(4):
                code = f"group{round_}"
                put(client, parameter(code=code))
                assert within(30, lambda code=code: is_ready(client, f"/Patient?{code}=A"))
            time.sleep(0.3)
            acknowledged = sorted(id_ for writer in writers for id_ in writer.end())
            assert len(acknowledged) > 100
            assert ids(client, f"/Patient?{code}=A&_count=1000") == acknowledged


class _Writer:
    """Creates and changes patients of group A until told to stop."""

    def __init__(self, server: Server, number: int) -> None:
        self._server, self._number = server, number
        self._stop = threading.Event()
        self._acknowledged: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self._acknowledged

    def _run(self) -> None:
        at = 0
        with ExitStack() as stack:  # several connections, so that both processes write
            clients = [stack.enter_context(client_of(self._server)) for _ in range(4)]
            while not self._stop.is_set():
                id_, at = f"w{self._number}-{at}", at + 1
                client = clients[at % len(clients)]
                assert put(client, person("A", id=id_)).status_code == 201
                self._acknowledged.append(id_)
                if at % 3 == 0:
                    put(client, person("A", id=id_, gender="female"))


def test_parameters_of_a_package_are_searched_by(database: str, tmp_path: Path) -> None:
    definition = parameter()
    bad = parameter(id="bad", url=f"{URL}-bad", code="bad", expression="Patient.nam")
    with serving(database) as server, client_of(server) as client:
        put(client, person("A", id="a"))
        done = run(
            "load-package", written(tmp_path, guide(definition, bad)), "--database-url", database
        )
        assert done.returncode == 0, done.stderr
        assert f"warning: SearchParameter {URL}-bad: is not used: The expression" in done.stdout
        assert within(20, lambda: is_ready(client, "/Patient?blood=A"))
        assert ids(client, "/Patient?blood=A") == ["a"]
        assert listed(client, "Patient")["blood"]["definition"] == URL
        answer = put(client, parameter(id="mine"))
        assert answer.status_code == 422
        assert "a loaded package" in issue(answer)["details"]["text"]
        other = guide(parameter(expression="Patient.gender"), version="2.0.0")
        run("load-package", written(tmp_path, other, "two.tgz"), "--database-url", database)
        assert within(20, lambda: ids_if_ready(client, "/Patient?blood=A") == [])
    with psycopg.connect(database) as connection:
        states = connection.execute("select state from search_parameter order by number").fetchall()
    assert states == [("retired",), ("ready",)]


def test_rows_of_an_older_format_are_brought_up_to_date_at_the_start(database: str) -> None:
    with serving(database) as server, client_of(server) as client:
        put(client, resident(id="a"))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update resource set fmt = 0, toks = '{}'")
        connection.execute("update setting set value = '0' where name = 'index_format'")
    with serving(database) as server, client_of(server) as client:
        assert within(20, lambda: ids(client, "/Patient?gender=female") == ["a"])
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select (select value::integer from setting where name = 'index_format') > 0,"
            " (select min(fmt) from resource) > 0, (select count(*) from job)"
        ).fetchone()
    assert row == (True, True, 1)
    with serving(database):  # and not again
        pass
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from job").fetchone() == (1,)
