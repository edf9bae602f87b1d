"""`_explain=true` on a search, and the command `explain`: what was understood, and how it ran."""

import subprocess
import sys
from typing import Any

import httpx
import psycopg
import pytest
from fhir.resources.R4B import get_fhir_model_class

from api.patients import CCCD, resident, weight
from ehr_server.access.caller import LOOPBACK
from ehr_server.access.explain import explain
from ehr_server.errors import Forbidden, Unavailable
from ehr_server.store.connect import Connection, Store
from narrowed import narrowed
from searching import HANOI, Record, record
from servers import ENCRYPTION_KEY, Server

ESTIMATE = "how many, by the database's estimate"
SIZE = "how many rows the table has"
GATHERED = "the page, gathered and sorted"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> None:
    """Two residents, a weight of each."""
    with httpx.Client(base_url=server.fhir) as client:
        for id_, number in (("one", "001174000456"), ("two", "001174000555")):
            client.put(f"/Patient/{id_}", json=resident(number, id=id_)).raise_for_status()
            own = weight(f"Patient/{id_}") | {"id": id_}
            own["valueQuantity"]["value"] = 52.5
            client.put(f"/Observation/{id_}", json=own).raise_for_status()


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    """What is told, in the first entry of the answer."""
    assert answer.status_code == 200, answer.text
    first = answer.json()["entry"][0]
    assert first["search"] == {"mode": "outcome"}
    assert {issue["severity"] for issue in first["resource"]["issue"]} == {"information"}
    told: list[dict[str, Any]] = first["resource"]["issue"]
    return told


def heads(answer: httpx.Response) -> list[str]:
    return [issue["details"]["text"].split(";")[0] for issue in issues(answer)]


def test_the_query_the_statements_the_plans_and_the_time_are_told(client: httpx.Client) -> None:
    answer = client.get("/Patient?name=ngop&_explain=true")
    understood, estimate, page, time = issues(answer)
    assert understood["diagnostics"].startswith(
        "Patient for which all of this holds:\n  name=ngop\n"
    )
    assert estimate["details"]["text"].startswith("Statement 1/2: how many, by the database's")
    assert page["details"]["text"].startswith(
        "Statement 2/2: the page, gathered and sorted; rows: 2; "
    )
    sql, _, plan = page["diagnostics"].partition("\n\n")
    assert "\n  from resource_patient r" in sql
    assert "ngop'" in sql
    assert "actual time=" in plan
    assert "Buffers: " in plan
    assert "Execution Time: " in plan
    assert time["diagnostics"].endswith("once more for its plan.")


def test_what_is_found_is_found_as_ever(client: httpx.Client) -> None:
    address = "/Patient?name=ngop&_count=1"
    plain, told = client.get(address).json(), client.get(f"{address}&_explain=true").json()
    assert told["total"] == plain["total"] == 2
    assert told["entry"][1:] == plain["entry"]


def test_the_answer_is_valid(client: httpx.Client) -> None:
    answer = client.get("/Patient?name=ngop&_explain=true&_count=1")
    get_fhir_model_class("Bundle").model_validate_json(answer.content)


@pytest.mark.parametrize(
    ("address", "purposes"),
    [
        ("Patient?_id=one", ["look-up of ids", "the page with its contents"]),
        (
            f"Patient?identifier={CCCD}|001174000456",
            ["look-up of identifiers", "the page with its contents"],
        ),
        ("Observation?code:text=can", ["look-up of texts of codes", ESTIMATE, SIZE, GATHERED]),
        (
            "Observation?value-quantity=gt1000|http://unitsofmeasure.org|g",
            ["look-up of the units there are", GATHERED],
        ),
        (
            "Observation?subject:Patient.name=ngop",
            [
                ESTIMATE,
                SIZE,
                "where a chain leads",
                "look-up of merged records",
                "the page with its contents",
            ],
        ),
        (
            "Patient?_has:Observation:patient:date=2026&_summary=count",
            [ESTIMATE, SIZE, "where a chain leads", "look-up of merged records", "the total"],
        ),
        ("Observation?patient=one", ["look-up of merged records", "the page with its contents"]),
        ("Patient?name=ngop&_count=1", [ESTIMATE, GATHERED]),
        ("?_type=Patient,Basic", [ESTIMATE, GATHERED, "the contents"]),
        (
            "?_id=one&_type=Patient,Basic",
            ["the types of ids", "look-up of ids", "the places of the page", "the contents"],
        ),
        ("Patient?_id=nobody", ["look-up of ids"]),
        (  # disjoint branches of one statement
            "Observation?date=ge2026&_summary=count",
            ["the total"],
        ),
    ],
)
def test_every_statement_says_what_it_is_for(
    client: httpx.Client, address: str, purposes: list[str]
) -> None:
    told = heads(client.get(f"/{address}&_explain=true"))
    count = len(purposes)
    assert told == [
        "As understood",
        *(f"Statement {at + 1}/{count}: {one}" for at, one in enumerate(purposes)),
        "Time",
    ]


def test_the_sql_can_be_pasted(client: httpx.Client, module_database: str) -> None:
    told = issues(
        client.get(f"/Patient?identifier={CCCD}|001174000456&birthdate=ge1970&_explain=true")
    )
    with psycopg.connect(module_database) as connection:
        for issue in told[1:-1]:
            rows = connection.execute(issue["diagnostics"].partition("\n\n")[0]).fetchall()
            assert f"rows: {len(rows)};" in issue["details"]["text"]


def test_the_links_lead_to_pages_without_it(client: httpx.Client) -> None:
    links = {
        link["relation"]: link["url"]
        for link in client.get("/Patient?name=ngop&_explain=true&_count=1").json()["link"]
    }
    assert set(links) == {"self", "next"}
    assert not [url for url in links.values() if "_explain" in url]
    following = client.get(links["next"])
    assert following.json()["entry"][0]["search"] == {"mode": "match"}
    again = issues(client.get(f"{links['next']}&_explain=true"))  # and a page can be explained
    assert "from the place that _page names" in again[0]["diagnostics"]


def test_it_is_understood_in_a_posted_form_and_in_a_batch(client: httpx.Client) -> None:
    posted = client.post(
        "/Patient/_search", content="name=ngop&_explain=true", headers={"content-type": FORM}
    )
    assert heads(posted)[0] == "As understood"
    entry = {"request": {"method": "GET", "url": "Patient?name=ngop&_explain=true"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answered = client.post("", json=batch).json()["entry"][0]["resource"]
    assert answered["entry"][0]["search"] == {"mode": "outcome"}


def test_it_has_no_place_in_a_transaction(client: httpx.Client) -> None:
    entry = {"request": {"method": "GET", "url": "Patient?name=ngop&_explain=true"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert client.post("", json=bundle).status_code == 400


@pytest.mark.parametrize("value", ["false", "", "TRUE", "true&_explain=true"])
def test_any_other_value_is_refused(client: httpx.Client, value: str) -> None:
    answer = client.get(f"/Patient?name=ngop&_explain={value}")
    assert answer.status_code == 400
    assert "_explain" in answer.json()["issue"][0]["details"]["text"]


def test_it_is_no_criterion(client: httpx.Client) -> None:
    headers = {"if-none-exist": "name=ngop&_explain=true"}
    assert client.post("/Patient", json=resident(), headers=headers).status_code == 400


def test_headings_are_in_the_language_of_the_caller(client: httpx.Client) -> None:
    answer = client.get("/Patient?name=ngop&_explain=true", headers={"accept-language": "vi"})
    assert heads(answer) == [
        "Được hiểu như sau",
        "Câu lệnh 1/2: ước lượng số kết quả",
        "Câu lệnh 2/2: trang kết quả, gom lại rồi sắp xếp",
        "Thời gian",
    ]


def test_an_unknown_parameter_is_told_too(client: httpx.Client) -> None:
    headers = {"prefer": "handling=lenient"}
    answer = client.get("/Patient?nonsense=1&_explain=true", headers=headers)
    assert "no such parameter: nonsense" in issues(answer)[0]["diagnostics"]
    assert answer.json()["entry"][-1]["search"] == {"mode": "outcome"}


@pytest.fixture
def here(module_database: str) -> Any:
    with record(module_database) as found:
        yield found


def test_only_administrators_may(here: Record) -> None:
    query = here.query("Patient?name=ngop")
    with here.store.connection() as connection, pytest.raises(Forbidden):
        explain(connection, query, narrowed("facility", "bv1"), HANOI, lambda: 1)
    assert LOOPBACK.may_explain
    assert not narrowed("administrator").may_explain


def test_it_is_read_only(here: Record) -> None:
    def write(connection: Connection) -> None:
        connection.execute("delete from resource")

    query = here.query("Patient?name=ngop")
    with (
        pytest.raises(Unavailable, match="read-only"),
        here.store.connection() as connection,
    ):
        explain(connection, query, LOOPBACK, HANOI, lambda: write(connection))


def test_a_statement_that_takes_too_long_is_told_with_its_plan(
    here: Record, module_database: str
) -> None:
    store = Store(
        module_database,
        pool_size=2,
        statement_timeout_ms=200,
        encryption_key=ENCRYPTION_KEY,
    )
    query = here.query("Patient?name=ngop")
    try:
        with store.connection() as connection, pytest.raises(Unavailable) as refused:
            explain(
                connection, query, LOOPBACK, HANOI, lambda: connection.execute("select pg_sleep(9)")
            )
        stopped, understood, ran, _ = refused.value.issues
        assert stopped.severity == "error"
        assert understood.text == "As understood"
        assert "; stopped; " in ran.text
        assert "Result  (cost=" in ran.diagnostics
        with store.connection() as connection:  # which is as it was
            assert connection.execute("select 1").fetchall() == [(1,)]
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    finally:
        store.close()


def command(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ehr_server", "explain", *arguments, "--database-url", database]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "search", ["Patient?name=ngop", "http://127.0.0.1:8080/fhir/Patient?name=ngop&_explain=true"]
)
def test_the_command_prints_the_same(
    module_database: str, client: httpx.Client, search: str
) -> None:
    done = command(module_database, search)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    understood = issues(client.get("/Patient?name=ngop&_explain=true"))[0]["diagnostics"]
    assert done.stdout.startswith(f"As understood\n{understood}\n\nStatement 1/2: how many")
    assert "Execution Time: " in done.stdout


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("Patient?nonsense=1", "error: The search parameter nonsense is not one that Patient has."),
        ("Patient?birthdate=soon", "error: The search parameter birthdate is not a date"),
        ("Nonsense?name=x", "error: "),
    ],
)
def test_the_command_prints_why_a_search_is_refused(
    module_database: str, search: str, says: str
) -> None:
    done = command(module_database, search)
    assert done.returncode == 1
    assert done.stdout.startswith(says)


def test_the_command_takes_nothing_but_a_search(module_database: str) -> None:
    done = command(module_database, "Patient/one")
    assert done.returncode == 1
    assert done.stderr == "ehr-server: Patient/one is not a search such as 'Patient?name=x'.\n"
