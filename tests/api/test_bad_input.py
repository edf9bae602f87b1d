"""What comes over the wire broken: each gets the right 4xx, an outcome that says what and where,
quickly, and the server lives on."""

import time

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke

_JSON = {"Content-Type": "application/fhir+json"}

BODIES = [
    # what is sent, status, what the answer must say
    (b"{", 400, "not valid JSON"),
    (b"", 400, "must be one FHIR resource"),
    (b"null", 400, "must be one FHIR resource"),
    (b"[]", 400, "must be one FHIR resource"),
    (b"\xff\xfe{}", 400, "not valid JSON"),
    (b'{"resourceType":"Patient","gender":"male","gender":"male"}', 400, "gender"),
    (b'{"resourceType":"Patient","active":NaN}', 400, "not valid JSON"),
    (b'{"resourceType":"Patient","name":[{"text":"a\\u0000b"}]}', 400, "NUL"),
    (b'{"resourceType":"Patient","name":[{"text":"\\ud800"}]}', 400, "not valid JSON"),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "not valid JSON"),
    (b'{"resourceType":"Patient","extension":[' + b'{"extension":[' * 60, 400, "not valid"),
    (b'{"gender":"male"}', 400, "resourceType"),
    (b'{"resourceType":"Observation"}', 400, "resourceType"),
    (b'{"resourceType":7}', 400, "resourceType"),
    (b'{"resourceType":"Patient","familie":"A"}', 400, "Patient.familie"),
    (b'{"resourceType":"Patient","gender":"man"}', 400, "Patient.gender"),
    (b'{"resourceType":"Patient","birthDate":"2023-02-30"}', 400, "Patient.birthDate"),
    (b'{"resourceType":"Patient","name":[]}', 400, "Patient.name"),
    (b'{"resourceType":"Patient","name":{}}', 400, "Patient.name"),
    (b'{"resourceType":"Patient","name":[null]}', 400, "Patient.name"),
    (b'{"resourceType":"Patient","active":"true"}', 400, "Patient.active"),
    (b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 400 + b"}", 400, "Patient"),
    (
        b'{"resourceType":"Patient","multipleBirthInteger":1,"multipleBirthBoolean":true}',
        400,
        "Patient.multipleBirth",
    ),
    (b'{"resourceType":"Patient","managingOrganization":{"reference":"#x"}}', 400, "Patient"),
]


@pytest.mark.parametrize(("body", "status", "says"), BODIES)
def test_broken_bodies(client: httpx.Client, body: bytes, status: int, says: str) -> None:
    begun = time.perf_counter()
    answer = client.post("/Patient", content=body, headers=_JSON)
    taken_s = time.perf_counter() - begun
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert says in answer.text
    assert taken_s < 2
    assert client.get("/metadata?_format=json").status_code == 200


def test_a_decimal_of_400_digits_is_refused_with_its_place(client: httpx.Client) -> None:
    body = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":' + b"9" * 400 + b"}}"
    )
    answer = client.post("/Observation", content=body, headers=_JSON)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Observation.value.value"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "/metadata", 405),
        ("DELETE", "/metadata", 405),
        ("PUT", "/metadata", 405),
        ("POST", "/Nonsense", 404),
        ("GET", "/Patient/%2e%2e%2fx/y", 404),
        ("GET", "/Patient/a%00", 404),
        ("DELETE", "/Patient/a%00", 404),
        ("GET", "/Patient/a%00/_history", 404),
        ("GET", "/$export-status/a%00", 404),
        ("PUT", "/Patient/a%20b", 400),
        ("GET", "/_nonsense", 404),
        ("GET", "/$nonsense", 404),
    ],
)
def test_addresses_that_lead_nowhere(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    body = resident(id="a b") if method in ("PUT", "POST") else None
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_405_names_the_methods_that_are_possible(client: httpx.Client) -> None:
    assert client.post("/metadata", json={}).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_other_formats_are_415(client: httpx.Client) -> None:
    turtle = {"Content-Type": "application/fhir+turtle"}
    assert client.post("/Patient", content=b"<Patient/>", headers=turtle).status_code == 415


def test_vietnamese_on_request(client: httpx.Client) -> None:
    answer = client.get("/Patient/nobody", headers={"Accept-Language": "vi-VN,vi;q=0.9"})
    assert answer.json()["issue"][0]["details"]["text"] == "Không có Patient/nobody."
    answer = client.get("/Patient/nobody", headers={"Accept-Language": "en"})
    assert answer.json()["issue"][0]["details"]["text"] == "There is no Patient/nobody."


def test_a_host_that_would_break_the_answer_is_400(client: httpx.Client) -> None:
    """Host becomes part of every fullUrl; RFC 9112 3.2 asks for 400."""
    answer = client.get("/Patient", headers={"Host": 'here","x":"'})
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_search_that_is_no_form_does_not_find_everyone(client: httpx.Client) -> None:
    answer = client.post("/Patient/_search", json={"identifier": "1"})
    assert answer.status_code == 415


@pytest.mark.parametrize("value", ["ng%FF", "%ED%A0%80", "Ng%E1%BB"])
def test_what_is_not_utf8_is_not_searched_for_as_something_else(
    client: httpx.Client, value: str
) -> None:
    """https://hl7.org/fhir/R4/search.html#escaping: percent-encoded UTF-8"""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        client.get(f"/Patient?name={value}"),
        client.post("/Patient/_search", content=f"name={value}", headers=form),
    ):
        assert answer.status_code == 400
        assert "UTF-8" in answer.json()["issue"][0]["diagnostics"]


def test_an_entry_that_is_not_utf8_is_refused_with_its_place(client: httpx.Client) -> None:
    entry = {"request": {"method": "GET", "url": "Patient?name=ng%FF"}}
    answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]


def test_a_form_of_a_million_fields_is_refused_before_it_is_read(client: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/Patient/_search", content=b"a=b&" * 1_000_000, headers=form)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "too-costly"


@pytest.mark.parametrize(
    ("address", "name", "value", "times"),
    [
        ("/Observation", "value-quantity", ",".join(map(str, range(1000))), 50),
        ("/Observation", "component-code-value-quantity", ",".join(["a$1"] * 1000), 50),
        ("", "_tag", ",".join(f"a{at}" for at in range(1000)), 5),
        ("", "_lastUpdated", ",".join(f"ne{at}" for at in range(1000, 2000)), 5),
        ("/Task", "focus._lastUpdated", "ge2000", 50),  # a chain to each type there is
    ],
)
def test_more_values_than_a_statement_takes_are_refused_and_no_fault_of_the_database(
    client: httpx.Client, address: str, name: str, value: str, times: int
) -> None:
    """https://hl7.org/fhir/R4/search.html#errors: 503 would tell the client to try again."""
    form = "&".join([f"{name}={value}"] * times)
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post(f"{address}/_search", content=form, headers=sent)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "too-costly"


def test_a_long_source_is_stored_as_sent(client: httpx.Client) -> None:
    """meta.source names the sender, and an index row must not limit it."""
    source = "http://his.example.vn/" + "".join(f"{number:05}" for number in range(2000))
    answer = client.post("/Patient", json=resident(meta={"source": f"{source}#1"}))
    assert answer.status_code == 201
    assert answer.json()["meta"]["source"] == f"{source}#1"
