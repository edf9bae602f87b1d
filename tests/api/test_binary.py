"""Binary: https://hl7.org/fhir/R4/binary.html and https://hl7.org/fhir/R4/http.html#binary"""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from api.contents import JSON_TYPE, LARGE, PNG, random_content, row_counts, stored
from api.patients import resident
from ehr_server.fhir import json
from ehr_server.fhir.kept import EXTENSION
from ehr_server.jobs.export import Wish, export_to
from ehr_server.store.connect import Store
from servers import ENCRYPTION_KEY, Server, serving


@pytest.mark.parametrize(
    "content", [PNG, LARGE, random_content(393_216), random_content(786_432), b""]
)
@pytest.mark.smoke
def test_content_comes_back_as_it_was_sent(client: httpx.Client, content: bytes) -> None:
    """When binary data is written, the data is accepted as is and treated as the content of a
    Binary."""
    answer = client.post("/Binary", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 201
    id_ = answer.json()["id"]
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"].endswith(f"/Binary/{id_}/_history/1")
    for address in (f"/Binary/{id_}", f"/Binary/{id_}/_history/1"):
        shown = client.get(address)
        assert shown.headers["Content-Type"] == "image/png"
        assert shown.content == content
        assert int(shown.headers["Content-Length"]) == len(content)


@pytest.mark.parametrize(
    "content", [PNG, LARGE, random_content(1_500_001), random_content(1_500_002)]
)
@pytest.mark.smoke
def test_who_names_a_type_of_fhir_gets_the_resource(client: httpx.Client, content: bytes) -> None:
    """The content is returned in its own type by a read that does not explicitly specify the FHIR
    content types."""
    id_ = stored(client, content)
    for answer in (
        client.get(f"/Binary/{id_}", headers=JSON_TYPE),
        client.get(f"/Binary/{id_}?_format=json"),
        client.get(f"/Binary/{id_}?_format=application/fhir%2Bjson"),
        client.get(f"/Binary/{id_}", headers={"Accept": "application/json"}),
        client.get(f"/Binary/{id_}/_history/1", headers={"Accept": "application/fhir+json, */*"}),
    ):
        assert answer.headers["Content-Type"].startswith("application/fhir+json")
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        resource = answer.json()
        assert base64.b64decode(resource.pop("data")) == content
        assert set(resource) == {"resourceType", "id", "meta", "contentType"}
        assert resource["contentType"] == "image/png"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "image/png",
        "image/*",
        "application/dicom",  # not what it is, but no type of FHIR either
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",  # a browser
        "image/png, application/fhir+json",
        "application/fhir+json;q=0.2, */*",
    ],
)
def test_everyone_else_gets_the_content(client: httpx.Client, accept: str) -> None:
    answer = client.get(f"/Binary/{stored(client, PNG)}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Vary"] == "Accept"
    assert answer.content == PNG


@pytest.mark.parametrize("size", [1_000, 200_000, 3_000_000])
def test_a_binary_sent_as_a_resource_is_the_same_thing(client: httpx.Client, size: int) -> None:
    content = random_content(size)
    binary = {
        "resourceType": "Binary",
        "contentType": "application/pdf",
        "data": base64.b64encode(content).decode(),
    }
    answer = client.post("/Binary", json=binary)
    assert answer.status_code == 201
    assert client.get(f"/Binary/{answer.json()['id']}").content == content


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/fhir+json", b'{"resourceType":"Patient","active":true}'),
        ("application/json", b'{"rows": [1.50]}'),
        ("application/json", b"[1, 2]"),
        ("application/xml", b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>"),
    ],
)
def test_types_of_fhir_are_content_too(client: httpx.Client, kind: str, content: bytes) -> None:
    """Including when the content type is application/fhir+json, except for the special case where
    the content is actually a Binary resource."""
    id_ = stored(client, content, kind)
    answer = client.get(f"/Binary/{id_}")
    assert (answer.headers["Content-Type"], answer.content) == (kind, content)
    if kind != "application/fhir+json":
        assert client.get(f"/Binary/{id_}", headers={"Accept": kind}).content == content
    resource = client.get(f"/Binary/{id_}", headers=JSON_TYPE).json()
    assert resource["resourceType"] == "Binary"
    assert base64.b64decode(resource["data"]) == content


def test_a_binary_in_xml_is_not_taken_for_content(client: httpx.Client) -> None:
    sent = b'<?xml version="1.0"?>\n<Binary xmlns="http://hl7.org/fhir"><id value="1"/></Binary>'
    answer = client.post("/Binary", content=sent, headers={"Content-Type": "application/xml"})
    assert answer.status_code == 415
    assert "application/fhir+xml" in answer.json()["issue"][0]["details"]["text"]


def test_update_stores_the_next_version(client: httpx.Client) -> None:
    for number, content in enumerate((PNG, LARGE, random_content(700_000, 2)), 1):
        answer = client.put("/Binary/scan", content=content, headers={"Content-Type": "image/png"})
        assert answer.status_code == (201 if number == 1 else 200)
        assert answer.headers["ETag"] == f'W/"{number}"'
    assert client.get("/Binary/scan").content == random_content(700_000, 2)
    assert client.get("/Binary/scan/_history/1").content == PNG
    assert client.get("/Binary/scan/_history/2").content == LARGE


def test_the_same_content_again_makes_no_new_version(client: httpx.Client, server: Server) -> None:
    for _ in range(3):
        answer = client.put("/Binary/again", content=LARGE, headers={"Content-Type": "image/png"})
        assert answer.headers["ETag"] == 'W/"1"'
    before = row_counts(server.database_url or "")
    client.put("/Binary/again", content=LARGE, headers={"Content-Type": "image/png"})
    assert row_counts(server.database_url or "") == before


def test_conditions_hold_for_content_too(client: httpx.Client) -> None:
    """http.html#concurrency"""
    kind = {"Content-Type": "image/png"}
    only_new = {**kind, "If-None-Match": "*"}
    first = client.put("/Binary/once", content=LARGE, headers=only_new)
    again = client.put("/Binary/once", content=PNG, headers=only_new)
    assert (first.status_code, again.status_code) == (201, 412)
    old = client.put("/Binary/once", content=PNG, headers={**kind, "If-Match": 'W/"7"'})
    assert old.status_code == 412
    assert client.get("/Binary/once").content == LARGE
    minimal = client.put("/Binary/once", content=PNG, headers={**kind, "Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (200, b"")
    unchanged = client.get("/Binary/once", headers={"If-None-Match": 'W/"2"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_the_security_context_is_kept_and_told(client: httpx.Client) -> None:
    """X-Security-Context stands for Binary.securityContext, which may be the patient."""
    client.put("/Patient/pictured", json=resident(id="pictured"))
    context = {"X-Security-Context": "Patient/pictured"}
    for content in (PNG, LARGE):
        id_ = stored(client, content, **context)
        answer = client.get(f"/Binary/{id_}")
        assert answer.headers["X-Security-Context"] == "Patient/pictured"
        resource = client.get(f"/Binary/{id_}", headers=JSON_TYPE).json()
        assert resource["securityContext"] == {"reference": "Patient/pictured"}


def test_a_security_context_that_is_not_there_is_refused(
    client: httpx.Client, server: Server
) -> None:
    before = row_counts(server.database_url or "")
    headers = {"Content-Type": "image/png", "X-Security-Context": "Patient/nobody"}
    answer = client.post("/Binary", content=LARGE, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Binary.securityContext.reference"]
    assert row_counts(server.database_url or "") == before


def test_content_moves_with_its_security_context(client: httpx.Client, server: Server) -> None:
    """All of a person lies in one compartment: so does the content, that of old versions too."""
    url = server.database_url or ""
    for id_ in ("one", "two"):
        client.put(f"/Patient/{id_}", json=resident(id=id_))
    kind = {"Content-Type": "image/png"}
    steps = [(LARGE, "Patient/one"), (random_content(900_000, 3), f"{client.base_url}Patient/two")]
    for content, context in steps:
        headers = {**kind, "X-Security-Context": context}
        assert client.put("/Binary/moves", content=content, headers=headers).is_success
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select distinct v.comp, b.comp from version_other v, rid r, blob b"
            " where r.id = 'moves' and v.key = r.key and b.comp = v.comp"
        ).fetchall()
        assert len(rows) == 1
        here = connection.execute(
            "select count(distinct key) from blob where comp = %s", (rows[0][0],)
        ).fetchone()
        assert here == (2,)
    assert client.get("/Binary/moves/_history/1").content == LARGE
    assert client.get("/Binary/moves").content == random_content(900_000, 3)


def test_ranges_of_the_content(client: httpx.Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#name-range-requests"""
    for content in (PNG, LARGE):
        size = len(content)
        address = f"/Binary/{stored(client, content)}"
        for asked, start, end in (
            ("bytes=0-99", 0, 100),
            ("bytes=100-", 100, size),
            ("bytes=-7", size - 7, size),
            (f"bytes={size - 1}-{size + 9}", size - 1, size),
            ("bytes=3-3", 3, 4),
            (f"bytes={size // 2}-{size - 2}", size // 2, size - 1),
        ):
            answer = client.get(address, headers={"Range": asked})
            assert answer.status_code == 206
            assert answer.content == content[start:end]
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        beyond = client.get(address, headers={"Range": f"bytes={size}-"})
        assert beyond.status_code == 416
        assert beyond.headers["Content-Range"] == f"bytes */{size}"
        for ignored in ("bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=9-3"):
            whole = client.get(address, headers={"Range": ignored})
            assert (whole.status_code, whole.content) == (200, content)


def test_head_tells_of_the_content(client: httpx.Client) -> None:
    for content in (PNG, LARGE):
        answer = client.head(f"/Binary/{stored(client, content)}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["Content-Length"]) == len(content)
        assert answer.headers["Accept-Ranges"] == "bytes"


def test_what_is_stored_cannot_act_as_a_page_of_the_server(client: httpx.Client) -> None:
    page = b"<script>alert(document.cookie)</script>"
    answer = client.get(f"/Binary/{stored(client, page, 'text/html')}")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"].startswith("attachment")
    picture = client.get(f"/Binary/{stored(client, PNG)}")
    assert picture.headers["Content-Disposition"].startswith("inline")
    drawing = client.get(f"/Binary/{stored(client, page, 'image/svg+xml')}")
    assert drawing.headers["Content-Disposition"].startswith("attachment")


def test_deleted_content_stays_in_the_history(client: httpx.Client) -> None:
    id_ = stored(client, LARGE)
    assert client.delete(f"/Binary/{id_}").status_code == 204
    assert client.get(f"/Binary/{id_}").status_code == 410
    assert client.get(f"/Binary/{id_}/_history/1").content == LARGE
    assert client.get("/Binary/never-there").status_code == 404


def test_search_and_history_tell_of_large_content(client: httpx.Client) -> None:
    """In place of the data they hold its size and hash: a page of pictures is a page."""
    id_ = stored(client, LARGE)
    found = client.get(f"/Binary?_id={id_}").json()["entry"][0]["resource"]
    past = client.get(f"/Binary/{id_}/_history").json()["entry"][0]["resource"]
    assert found == past
    assert "data" not in found
    (told,) = found["_data"]["extension"]
    assert told["url"] == EXTENSION
    assert told["valueAttachment"]["size"] == len(LARGE)
    assert base64.b64decode(told["valueAttachment"]["hash"]) == hashlib.sha1(LARGE).digest()
    (digest,) = told["valueAttachment"]["extension"]
    assert base64.b64decode(digest["valueBase64Binary"]) == hashlib.sha256(LARGE).digest()
    small = stored(client, PNG)
    found = client.get(f"/Binary?_id={small}").json()["entry"][0]["resource"]
    assert base64.b64decode(found["data"]) == PNG


def test_who_sends_back_what_a_search_gave_keeps_the_content(client: httpx.Client) -> None:
    id_ = stored(client, LARGE)
    found = client.get(f"/Binary?_id={id_}").json()["entry"][0]["resource"]
    answer = client.put(f"/Binary/{id_}", json={**found, "language": "vi"})
    assert answer.headers["ETag"] == 'W/"2"'
    assert client.get(f"/Binary/{id_}").content == LARGE
    assert client.get(f"/Binary/{id_}", headers=JSON_TYPE).json()["language"] == "vi"


def test_nobody_gets_at_content_by_claiming_it(client: httpx.Client) -> None:
    found = client.get(f"/Binary?_id={stored(client, LARGE)}").json()["entry"][0]["resource"]
    for answer in (
        client.post("/Binary", json=found),
        client.put("/Binary/mine", json={**found, "id": "mine"}),
    ):
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"] == ["Binary.data"]


def test_binaries_in_a_transaction(client: httpx.Client) -> None:
    """An entry is a resource, never raw content."""
    patient, scan = "urn:uuid:11111111-1111-4111-8111-111111111111", "Binary"
    data = base64.b64encode(LARGE).decode()
    binary = {
        "resourceType": "Binary",
        "contentType": "image/png",
        "securityContext": {"reference": patient},
        "data": data,
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": patient,
                "resource": resident(id="x"),
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222",
                "resource": binary,
                "request": {"method": "POST", "url": scan},
            },
        ],
    }
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][1]["response"]["location"]
    shown = client.get(location)
    assert shown.content == LARGE
    assert shown.headers["X-Security-Context"].startswith("Patient/")
    read = {"method": "GET", "url": location.split("/fhir/")[1].partition("/_history")[0]}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": read}]}
    entry = client.post("", json=batch).json()["entry"][0]
    assert entry["resource"]["_data"]["extension"][0]["valueAttachment"]["size"] == len(LARGE)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "picture"}, 415),
        ({"Content-Type": "image/png", "Content-Encoding": "gzip"}, 415),
    ],
)
def test_what_is_no_content_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/Binary", content=LARGE, headers=headers)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_an_address_with_a_bad_id_is_refused(client: httpx.Client, server: Server) -> None:
    before = row_counts(server.database_url or "")
    kind = {"Content-Type": "image/png"}
    assert client.put("/Binary/not_an_id", content=LARGE, headers=kind).status_code == 400
    assert row_counts(server.database_url or "") == before


def test_export_holds_the_content(database: str, folder: Path) -> None:
    """An export is of use without this server: large content is in it as data."""
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        ids = {stored(client, content): content for content in (PNG, LARGE, random_content(70_000))}
    with closing(Store(database, encryption_key=ENCRYPTION_KEY)) as store:
        export_to(store, folder, Wish(["Binary"]))
    (path,) = folder.glob("Binary.*.ndjson")
    lines = [json.read(line) for line in path.read_bytes().splitlines()]
    assert {line["id"]: base64.b64decode(line["data"]) for line in lines} == ids
    assert not any("_data" in line for line in lines)
    manifest = json.read((folder / "manifest.json").read_bytes())
    assert manifest["output"][0]["count"] == 3


def test_an_attachment_follows_the_binary_of_its_transaction(client: httpx.Client) -> None:
    """Links in elements of type url are replaced by the id that the server gives:
    http.html#trules."""
    scan = "urn:uuid:33333333-3333-4333-8333-333333333333"
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "image/png", "url": scan}}],
    }
    binary = {
        "resourceType": "Binary",
        "contentType": "image/png",
        "data": base64.b64encode(LARGE).decode(),
    }
    entries = [
        {"resource": document, "request": {"method": "POST", "url": "DocumentReference"}},
        {"fullUrl": scan, "resource": binary, "request": {"method": "POST", "url": "Binary"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    stored = client.post("", json=bundle, headers={"Prefer": "return=representation"}).json()
    url = stored["entry"][0]["resource"]["content"][0]["attachment"]["url"]
    assert client.get(f"/{url}").content == LARGE


def test_a_summary_is_a_resource_without_the_content(client: httpx.Client) -> None:
    id_ = stored(client, LARGE)
    for query in (f"_id={id_}&_summary=true", f"_id={id_}&_elements=contentType"):
        found = client.get(f"/Binary?{query}").json()["entry"][0]["resource"]
        assert found["contentType"] == "image/png"
        assert not {"data", "_data"} & set(found)


def test_an_exported_binary_can_be_imported(database: str, folder: Path) -> None:
    """The same content under the same id makes no new version."""
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        id_ = stored(client, LARGE)
        with closing(Store(database, encryption_key=ENCRYPTION_KEY)) as store:
            export_to(store, folder, Wish(["Binary"]))
        (path,) = folder.glob("Binary.*.ndjson")
        resource = json.read(path.read_bytes())
        before = row_counts(database)
        same = client.put(f"/Binary/{id_}", json=resource)
        assert (same.status_code, same.headers["ETag"]) == (200, 'W/"1"')
        assert row_counts(database) == before
        assert client.put("/Binary/copy", json={**resource, "id": "copy"}).status_code == 201
        assert client.get("/Binary/copy").content == LARGE


def test_what_is_told_beside_new_data_is_out_of_date(client: httpx.Client) -> None:
    """`data` counts, not what a search said of the content before."""
    id_ = stored(client, LARGE)
    found = client.get(f"/Binary?_id={id_}").json()["entry"][0]["resource"]
    told = {**found, "data": base64.b64encode(PNG).decode()}
    assert client.put(f"/Binary/{id_}", json=told).headers["ETag"] == 'W/"2"'
    assert client.get(f"/Binary/{id_}").content == PNG
    assert "_data" not in client.get(f"/Binary/{id_}", headers=JSON_TYPE).json()


def test_many_write_one_binary_and_it_is_always_one_of_theirs(client: httpx.Client) -> None:
    contents = [random_content(800_000 + number, number) for number in range(6)]

    def write(content: bytes) -> int:
        kind = {"Content-Type": "image/png"}
        return client.put("/Binary/raced", content=content, headers=kind).status_code

    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(write, contents))
    assert set(statuses) <= {200, 201, 409}
    versions = int(client.head("/Binary/raced").headers["ETag"].strip('W/"'))
    assert versions == len([status for status in statuses if status != 409])
    for number in range(1, versions + 1):
        assert client.get(f"/Binary/raced/_history/{number}").content in contents
