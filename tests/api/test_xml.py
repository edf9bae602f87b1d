"""XML in and out: https://hl7.org/fhir/R4/xml.html"""

import httpx

from api.patients import resident, weight
from ehr_server.definitions.from_xml import from_xml
from ehr_server.definitions.to_xml import to_xml
from ehr_server.fhir import json

XML = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}


def test_a_resource_is_created_and_read_in_xml(client: httpx.Client) -> None:
    answer = client.post("/Patient", content=to_xml(resident()), headers=XML)
    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"1"')
    created = from_xml(answer.content)
    assert created["name"] == resident()["name"]
    assert client.get(f"/Patient/{created['id']}").json() == created
    read = client.get(f"/Patient/{created['id']}", headers=XML)
    assert read.content == answer.content


def test_what_came_in_json_goes_out_in_xml_with_its_digits(client: httpx.Client) -> None:
    patient = client.post("/Patient", json=resident("001174004001")).json()["id"]
    content = json.write(weight(f"Patient/{patient}", "107.50"))
    posted = client.post(
        "/Observation", content=content, headers={"Content-Type": "application/fhir+json"}
    )
    read = client.get(f"/Observation/{posted.json()['id']}?_format=xml")
    assert '<value value="107.50"/>' in read.text
    assert str(from_xml(read.content)["valueQuantity"]["value"]) == "107.50"


def test_a_transaction_comes_and_is_answered_in_xml(client: httpx.Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
                "resource": resident("001174004002"),
                "request": {"method": "POST", "url": "Patient"},
            }
        ],
    }
    answer = client.post("/", content=to_xml(bundle), headers=XML)
    assert answer.status_code == 200
    (entry,) = from_xml(answer.content)["entry"]
    assert entry["response"]["status"] == "201 Created"


def test_a_page_of_a_search_in_xml_is_the_page_in_json(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174004003")).json()["id"]
    asked = {"_id": id_}  # that of a number is sealed in the link, each time otherwise
    in_json = client.get("/Patient", params=asked).json()
    in_xml = client.get("/Patient", params=asked, headers={"Accept": XML["Accept"]})
    assert from_xml(in_xml.content) == in_json


def test_a_patch_may_be_parameters_in_xml(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174004004")).json()["id"]
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "male"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    answer = client.patch(f"/Patient/{id_}", content=to_xml(patch), headers=XML)
    assert answer.status_code == 200
    assert from_xml(answer.content)["gender"] == "male"


def test_what_is_wrong_with_a_value_is_found_as_in_json(client: httpx.Client) -> None:
    content = b'<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>'
    answer = client.post("/Patient", content=content, headers=XML)
    assert answer.status_code == 400
    assert from_xml(answer.content)["issue"][0]["expression"] == ["Patient.active"]


def test_the_capability_statement_names_the_format(client: httpx.Client) -> None:
    statement = client.get("/metadata", headers={"Accept": XML["Accept"]})
    assert {"xml", "application/fhir+xml"} <= set(from_xml(statement.content)["format"])
