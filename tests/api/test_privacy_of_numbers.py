"""The number of a person is nowhere but in the record: in no line of the log, no address that is
given back, no text of an outcome, no figure.

Numbers are pushed, searched for and refused in all the ways there are; then all that the server
said is looked through. https://hl7.org/fhir/R4/security.html#narrative: errors tell no more than
the sender may know, and a log is read by others.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, unquote

import httpx
import psycopg
import pytest

from api.patients import CCCD, REVIEWED, resident
from ehr_server.fhir import json
from servers import Server, serving

BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"
PASSPORT = "http://fhir.hl7.org.vn/core/sid/passport"
ALIAS = "http://fhir.ehealth.gov.vn/core/sid/national_id"
NUMBER, OTHER, WRONG = "001174987654", "001074987655", "00117498765O"
CARD, ABROAD = "GD4013987654321", "Q76543219"
HYPHENED, WIDE = "001-174-987-654", "００１１７４９８７６５４"
# The number as typists write it, and what a passport is like.
SPELT = (HYPHENED, WIDE, "001 - 174 - 987 - 654", "DN-4-01-3987654321", ABROAD[:8])
MARKS = ("174987654", "074987655", "17498765O", "3987654321", "7654321")
FORM = {"content-type": "application/x-www-form-urlencoded"}
PATCH = {"content-type": "application/json-patch+json"}


@dataclass
class Said:
    """What the server answered: the addresses it gave, the texts of its outcomes, its statuses."""

    addresses: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def hear(self, answer: httpx.Response) -> None:
        self.statuses.add(answer.status_code)
        for name in ("location", "content-location", "link"):
            if name in answer.headers:
                self.addresses.append(answer.headers[name])
        if answer.status_code >= 400:
            self.outcomes.append(answer.text)
        if answer.content:
            self._look(answer.json())

    def _look(self, value: Any) -> None:
        if isinstance(value, list):
            for one in value:
                self._look(one)
        elif isinstance(value, dict):
            if value.get("resourceType") == "OperationOutcome":
                self.outcomes.append(repr(value))
            for name in ("url", "fullUrl", "location", "request"):
                if isinstance(value.get(name), str):
                    self.addresses.append(value[name])
            for one in value.values():
                self._look(one)


def transaction(*entries: tuple[str, str, Mapping[str, Any]], kind: str = "transaction") -> Any:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": method, "url": url}, "resource": resource}
            if resource
            else {"request": {"method": method, "url": url}}
            for method, url, resource in entries
        ],
    }


def card() -> dict[str, Any]:
    person = resident(OTHER, birthDate="1974-05-20", gender="male", id="card")
    person["identifier"] += [
        {"system": BHYT, "value": CARD},
        {"system": PASSPORT, "value": ABROAD},
    ]
    return person


def shaped(**wrong: Any) -> dict[str, Any]:
    """A resident with something that is wrong in a number's place."""
    return {"resourceType": "Patient", **wrong}


SPACED, DOTTED = "0011 7498 7654", "001.174.987.654"
ASKED = (
    f"Patient?identifier={CCCD}|{NUMBER}",
    f"Patient?identifier={ALIAS}|{NUMBER}",
    f"Patient?identifier={NUMBER}",
    f"Patient?identifier={quote(SPACED)}",
    f"Patient?identifier={NUMBER},{OTHER},{CARD}&_count=1",
    f"Patient?identifier={CARD[5:]}&_total=accurate",
    f"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|NI|{NUMBER}",
    f"Patient?identifier:not={NUMBER}&_count=1",
    f"Patient?_filter=identifier eq {NUMBER}",
    f'Patient?_filter=identifier eq "{NUMBER}',
    f"Patient?_filter=identifier {NUMBER}",
    f"Patient?_filter={NUMBER} eq x",
    f"Patient?_has:RelatedPerson:patient:identifier={CCCD}|{NUMBER}",
    f"Patient?_content={NUMBER}",
    f"Patient?name={NUMBER}",
    f"Observation?patient.identifier={NUMBER}",
    f"Observation?subject:identifier={CCCD}|{NUMBER}",
    f"Observation?subject:Patient.identifier={CCCD}|{NUMBER}&_include=Observation:subject",
    f"?_type=Patient,Coverage&identifier={NUMBER}",
    f"Patient/card/Coverage?identifier={NUMBER}",
    f"Patient/card/*?identifier={NUMBER}&_type=Coverage",
    f"Patient?{NUMBER}",
    f"Patient?{CCCD}|{NUMBER}=1",
    f"Patient?identifier:{NUMBER}=1",
    f"Patient?identifier.{NUMBER}=1",
    f"Patient?identifier=a|b|{NUMBER}",
    f"Patient?identifier={NUMBER},",
    f"Patient?identifier:missing={NUMBER}",
    f"Patient?identifier={NUMBER}\\x",
    f"Patient?identifier={NUMBER}%00",
    f"Patient?birthdate={NUMBER}",
    f"Patient?birthdate=2024-05-31T{NUMBER}",
    f"Patient?_sort={NUMBER}",
    f"Patient?_elements={NUMBER}",
    f"Patient?_include={NUMBER}",
    f"Patient?_include=Patient:{NUMBER}",
    f"Patient?_revinclude={NUMBER}:x",
    f"Patient?_summary={NUMBER}",
    f"Patient?_count={NUMBER}",
    f"Patient?_total={NUMBER}",
    f"Patient?_page={NUMBER}",
    f"Patient?_sealed={NUMBER}",
    f"Patient?_list={NUMBER}",
    f"Patient?_security={NUMBER}|{NUMBER}|x",
    f"Patient?organization:{NUMBER}=1",
    f"Patient?organization={CCCD}|{NUMBER}",
    f"Patient?_has:{NUMBER}:patient:identifier=1",
    f"Patient?_has:RelatedPerson:{NUMBER}:identifier=1",
    f"Patient?identifier={NUMBER}&nothing-known=1",
    f"?_type={NUMBER}",
    NUMBER,
    f"P{NUMBER}",
    f"Patient/{NUMBER}",
    f"Patient/{NUMBER}/_history",
    f"Patient/{NUMBER}/_history/1",
    f"Patient/{NUMBER}/$meta",
    f"Patient/{NUMBER}/$validate?mode=delete",
    f"Patient/card/_history/{NUMBER}",
    f"Patient/card/_history/{NUMBER}/$meta",
    f"Composition/{NUMBER}/$document",
    f"Patient/{NUMBER}/$everything",
    f"Patient/card/$everything?_type={NUMBER}",
    f"Patient/card/$everything?_since={NUMBER}",
    f"Patient/card/$everything?{NUMBER}=1",
    f"Patient/card/_history?{NUMBER}=1",
    f"Patient/card/_history?_page={NUMBER}",
    f"Patient/card/_history?_since={NUMBER}",
    f"Patient/card/{NUMBER}",
    f"Observation/$lastn?patient=Patient/card&code=x&patient.identifier={NUMBER}",
    f"Observation/$lastn?patient=Patient/card&code=x&{NUMBER}=1",
    f"Observation/$lastn?patient=Patient/card&max={NUMBER}",
    f"$receipts?{NUMBER}=1",
    f"$receipts?{NUMBER}=1&_count=1",
    f"$receipts?date={NUMBER}",
    f"$export?{NUMBER}=1",
    f"$export?_type={NUMBER}",
    f"$data-quality?type={NUMBER}",
    f"$data-quality?{NUMBER}=1",
    f"Patient/$validate?mode={NUMBER}",
)
POSTED = (
    {"identifier": f"{CCCD}|{NUMBER}"},
    {"identifier": f"{NUMBER},{OTHER}", "_count": "1"},
    {"identifier": SPACED, "_format": "json"},
    {"_filter": f"identifier eq {NUMBER}"},
    {"name": "ngop", "birthdate": "1974-05-20", "_count": "1"},
    {"phone": NUMBER},
    {NUMBER: "1"},
    {"_sort": NUMBER},
)
BAD = (
    shaped(identifier=NUMBER),
    shaped(identifier=[NUMBER]),
    shaped(identifier={"system": CCCD, "value": NUMBER}),
    shaped(identifier=[{"system": CCCD, "value": int(NUMBER)}]),
    shaped(identifier=[{"system": CCCD, "value": WRONG}]),
    shaped(identifier=[{"system": CCCD, "value": f"{NUMBER}0"}]),
    shaped(identifier=[{"system": CCCD, "value": CARD}]),
    shaped(identifier=[{"system": PASSPORT, "value": f"{ABROAD}-{NUMBER}"}]),
    shaped(identifier=[{"system": NUMBER, "value": NUMBER, "use": NUMBER, "period": NUMBER}]),
    shaped(identifier=[{"value": {"value": NUMBER}}]),
    shaped(**{NUMBER: 1}),
    shaped(**{f"n{NUMBER}": 1}),
    shaped(gender=NUMBER, birthDate=NUMBER, active=NUMBER),
    shaped(id=f"{NUMBER} "),
    shaped(managingOrganization={"reference": f"Organization/{NUMBER}"}),
    shaped(managingOrganization={"reference": NUMBER}),
    shaped(managingOrganization={"reference": f"Organization?identifier={NUMBER}"}),
    shaped(managingOrganization={"reference": f"{NUMBER}?identifier={NUMBER}"}),
    shaped(managingOrganization={"reference": f"Organization/1/_history/{NUMBER}"}),
    shaped(managingOrganization={"reference": f"urn:cccd:{NUMBER}"}),
    shaped(text={"status": "generated", "div": f"<p>{NUMBER}</p>"}),
    shaped(meta={"profile": ["http://ehr-server.org/fhir/vn/StructureDefinition/resident"]},
           identifier=[{"system": CCCD, "value": WRONG}], gender="female"),
    {"resourceType": NUMBER},
    {"resourceType": f"P{NUMBER}", "identifier": NUMBER},
)  # fmt: skip
PATCHES = (
    [{"op": "test", "path": "/identifier/0/value", "value": NUMBER}],
    [{"op": "replace", "path": f"/identifier/{NUMBER}", "value": NUMBER}],
    [{"op": NUMBER, "path": f"/{NUMBER}"}],
    [{"op": "replace", "path": "/identifier/0/value", "value": WRONG}],
)
OPERATION = [
    {"name": "type", "valueCode": "replace"},
    {"name": "path", "valueString": f"Patient.identifier.where(value = '{NUMBER}').value"},
    {"name": "value", "valueString": NUMBER},
]


def push(client: httpx.Client) -> Iterator[httpx.Response]:
    """Writes, sound and refused."""
    one, criteria = resident(NUMBER), f"identifier={CCCD}|{NUMBER}"
    yield client.post("/Patient", json=one, headers={"If-None-Exist": criteria})
    yield client.post("/Patient", json=one, headers={"If-None-Exist": criteria})
    yield client.put(f"/Patient?{criteria}", json=one)
    yield client.put(f"/Patient?{criteria}", json=one | {"id": NUMBER})
    yield client.put("/Patient/card", json=card())
    yield client.put("/Patient/twin", json=resident(NUMBER, id="twin"), headers=REVIEWED)
    yield client.put("/Patient/twin2", json=resident(f"{NUMBER}", id="twin2", active=True))
    yield client.put(f"/Patient?{criteria}", json=one)  # several, 412
    yield client.post("/Patient", json=one, headers={"If-None-Exist": criteria})
    yield client.delete(f"/Patient?identifier={NUMBER}")
    yield client.delete(f"/Patient?identifier={NUMBER}&_cascade={NUMBER}")
    yield client.delete(f"/Patient?{NUMBER}=1")
    yield client.put("/Patient/card", json=card(), headers={"If-Match": f'W/"{NUMBER}"'})
    yield client.put("/Patient/card", json=card(), headers={"If-Match": 'W/"77"'})
    yield client.put("/Patient/card", json=card() | {"id": NUMBER})
    for wish in ("OperationOutcome", "representation"):
        yield client.put("/Patient/card", json=card(), headers={"Prefer": f"return={wish}"})
    for bad in BAD:
        yield client.post("/Patient", json=bad)
        yield client.post("/Patient/$validate", json=bad)
    for text in (f'{{"identifier": {NUMBER}', f'{{"{NUMBER}": 1, "{NUMBER}": 2}}', NUMBER):
        yield client.post("/Patient", content=text)
    xml = f'<Patient xmlns="http://hl7.org/fhir"><n{NUMBER} value="{NUMBER}"/></Patient>'
    for text in (xml, f"<{NUMBER}", f"<Patient>{NUMBER}</Patient>"):
        kind = {"content-type": "application/fhir+xml"}
        yield client.post("/Patient", content=text, headers=kind)
    for operations in PATCHES:
        yield client.patch("/Patient/card", json=operations, headers=PATCH)
    yield client.patch(f"/Patient?identifier={NUMBER}", json=PATCHES[0], headers=PATCH)
    for parts in (OPERATION, [OPERATION[0], {"name": "path", "valueString": NUMBER}, OPERATION[2]]):
        patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        yield client.patch("/Patient/card", json=patch)


def persons(client: httpx.Client) -> Iterator[httpx.Response]:
    """Who is alike, and who is one person, named by number."""
    for bad in (*BAD, card(), resident(NUMBER, identifier=[{"value": NUMBER}])):
        yield client.post("/Patient/$match", json=bad)
        sent = [{"name": "resource", "resource": bad}, {"name": NUMBER, "valueString": NUMBER}]
        for parameter in (sent[:1], sent):
            asked = {"resourceType": "Parameters", "parameter": parameter}
            yield client.post("/Patient/$match", json=asked)
    for source in (
        {"valueIdentifier": {"system": CCCD, "value": NUMBER}},
        {"valueIdentifier": {"value": {"value": NUMBER}}},
        {"valueReference": {"reference": f"Patient/{NUMBER}"}},
        {"valueReference": {"reference": f"Patient?identifier={NUMBER}"}},
        {"valueReference": {"identifier": {"system": CCCD, "value": NUMBER}}},
        {"valueString": NUMBER},
    ):
        kind = "-identifier" if "valueIdentifier" in source else ""
        named = [
            {"name": f"source-patient{kind}", **source},
            {"name": "target-patient-identifier",
             "valueIdentifier": {"system": BHYT, "value": CARD}},
        ]  # fmt: skip
        for deed, several in (("$merge", named), ("$merge", named[1:]), ("$unmerge", named[:1])):
            asked = {"resourceType": "Parameters", "parameter": several}
            yield client.post(f"/Patient/{deed}", json=asked)


def bundles(client: httpx.Client) -> Iterator[httpx.Response]:
    one, criteria = resident(NUMBER), f"identifier={CCCD}|{NUMBER}"
    link = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    for kind in ("transaction", "batch"):
        several: tuple[list[tuple[str, str, dict[str, Any]]], ...] = (
            [("PUT", f"Patient?{criteria}", one)],
            [("PUT", f"Patient?{criteria}", one), ("PUT", f"Patient?{criteria}", one)],
            [("PUT", f"Patient/{NUMBER}", one), ("DELETE", f"Patient/{NUMBER}", {})],
            [("DELETE", f"Patient?{criteria}", {})],
            [("GET", f"Patient?{criteria}&_count=1", {})],
            [("GET", f"Patient?{NUMBER}=1", {})],
            [("GET", f"Patient/{NUMBER}", {})],
            [("POST", "Patient", bad) for bad in BAD[:5]],
            [("POST", "Observation", link | {"subject": {"reference": f"Patient?{criteria}"}})],
            [("POST", "Observation", link | {"subject": {"reference": f"Patient/{NUMBER}"}})],
            [(NUMBER, NUMBER, one)],
        )
        for entries in several:
            yield client.post("", json=transaction(*entries, kind=kind))
    yield client.post("", json={"resourceType": "Bundle", "type": NUMBER, NUMBER: 1})


def searches(client: httpx.Client) -> Iterator[httpx.Response]:
    for address in ASKED:
        for headers in ({}, {"Prefer": "handling=lenient"}, {"Accept-Language": "vi"}):
            yield client.get(f"/{address}", headers=headers)
    for address in ASKED[:20]:
        yield client.get(f"/{address}{'&' if '?' in address else '?'}_explain=true")
        yield client.get(f"/{address}", headers={"Prefer": "respond-async"})
        yield client.head(f"/{address}")
    for form in POSTED:
        for wish in ("handling=strict", "handling=lenient", "respond-async"):
            yield client.post("/Patient/_search", data=form, headers={"Prefer": wish})
    yield client.post(f"/Patient/_search?identifier={NUMBER}", data={"identifier": OTHER})
    yield client.post("/Patient/_search", content=f'{{"a": "{NUMBER}"}}')
    for name in (NUMBER, "identifier"):
        sent = {"name": name, "valueString": NUMBER}
        asked = {"resourceType": "Parameters", "parameter": [sent]}
        for where in ("Observation/$lastn?patient=Patient/card&code=x", "Patient/card/$everything"):
            yield client.post(f"/{where}", json=asked)


def spelt(client: httpx.Client) -> Iterator[httpx.Response]:
    """The same in other spellings, wherever they can be sent."""
    for form in SPELT:
        for address in ASKED:
            yield client.get("/" + address.replace(NUMBER, quote(form)))
        yield client.get(f"/Patient/{quote(form)}/Coverage?_explain=true")
        for pairs in POSTED:
            sent = {name.replace(NUMBER, form): value for name, value in pairs.items()}
            yield client.post("/Patient/_search", data=sent | {"_total": form})
        yield client.post("/Patient", content=f'{{"{form}": 1, "{form}": 2}}')
        yield client.post("/Patient", content=f'{{"\\"{form}": 1, "\\"{form}": 2}}')
        if form != ABROAD[:8]:  # which may as well be a facility's own number
            yield client.put(f"/Patient/{quote(form)}", json=shaped(id=form, active=True))
        for bad in (
            shaped(gender=form, birthDate=form, active=form, **{form: 1}),
            shaped(identifier=[{"system": CCCD, "value": form, "use": form, form: form}]),
            shaped(managingOrganization={"reference": f"Organization/{form}"}),
            shaped(managingOrganization={"reference": f"Organization/1/_history/{form}"}),
            shaped(id=form, link=[{"other": {"reference": f"Patient/{form}"}, "type": form}]),
            {"resourceType": f"P{form}", "identifier": form},
        ):
            yield client.post("/Patient", json=bad)
            yield client.post("/Patient/$validate", json=bad)
        for kind in ("transaction", "batch"):
            for entry in (
                ("GET", f"Patient/{form}", {}),
                ("GET", f"Patient?{form}=1", {}),
                ("DELETE", f"Patient/{form}", {}),
                ("PUT", f"Patient/{form}", resident(form, id=form)),
            ):
                yield client.post("", json=transaction(entry, kind=kind))
        for operations in ([{"op": form, "path": f"/{form}"}], [{"op": "remove", "path": form}]):
            yield client.patch("/Patient/card", json=operations, headers=PATCH)
        yield client.patch(f"/Patient/{quote(form)}", json=PATCHES[0], headers=PATCH)
        yield client.delete(f"/Patient/{quote(form)}")
        for deed in ("$merge", "$unmerge"):
            named = {"name": "source-patient", "valueReference": {"reference": f"Patient/{form}"}}
            target = {"name": "target-patient", "valueReference": {"reference": "Patient/card"}}
            asked = {"resourceType": "Parameters", "parameter": [named, target]}
            yield client.post(f"/Patient/{deed}", json=asked)


def failures(client: httpx.Client, database: str) -> Iterator[httpx.Response]:
    """Statements that take too long, and then some that cannot be done at all."""
    sent = (
        ("GET", f"/Patient?identifier={CCCD}|{NUMBER}", None),
        ("GET", f"/Patient?identifier={CCCD}|{NUMBER}&_explain=true", None),
        ("GET", f"/Patient?_content={NUMBER}", None),
        ("PUT", f"/Patient?identifier={NUMBER}", resident(NUMBER)),
        ("POST", "/Patient", resident(NUMBER)),
        ("DELETE", f"/Patient?identifier={NUMBER}", None),
    )
    with psycopg.connect(database) as other:
        other.execute("lock table resource_patient, ident, rid in access exclusive mode")
        for method, address, body in sent:
            yield client.request(method, address, json=body)
        other.rollback()
        other.execute("alter table ident rename to elsewhere")
        other.execute("alter table resource_patient rename to elsewhere_too")
        other.commit()
    for method, address, body in sent:
        yield client.request(method, address, json=body)


@pytest.fixture(scope="module")
def heard(given_postgresql: Any) -> Iterator[tuple[Said, Server]]:
    """All that was said, and the server when it is over."""
    said = Said()
    with (
        given_postgresql.database() as database,
        serving(database, "--log-level=debug", statement_timeout_ms="400") as server,
        httpx.Client(base_url=server.fhir, timeout=60) as client,
    ):
        several = (push(client), searches(client), bundles(client), persons(client), spelt(client))
        for ways in (*several, failures(client, database)):
            for answer in ways:
                said.hear(answer)
        yield said, server


_BETWEEN_DIGITS = re.compile("(?<=[0-9])[ .+-]+(?=[0-9])")


def marked(text: str) -> list[str]:
    """The marks that stand in a text, decoded or not, whatever parts their digits."""
    both = (text, normalize("NFKC", unquote(text)))
    closed = [_BETWEEN_DIGITS.sub("", one) for one in both]
    return [mark for mark in MARKS if any(mark in one for one in closed)]


def test_the_ways_are_as_different_as_they_should_be(heard: tuple[Said, Server]) -> None:
    statuses = heard[0].statuses
    assert {200, 201, 202, 400, 404, 409, 412, 422, 500, 503} <= statuses
    assert len(heard[0].outcomes) > 300


def test_no_address_holds_a_number(heard: tuple[Said, Server]) -> None:
    found = [one for one in heard[0].addresses if marked(one)]
    # A search within a record stands at the record's own address, which the sender wrote.
    assert [one for one in found if not one.partition("?")[0].endswith("/Coverage")] == []
    assert any("_sealed=" in one for one in heard[0].addresses)


def test_no_outcome_holds_a_number(heard: tuple[Said, Server]) -> None:
    assert [one for one in heard[0].outcomes if marked(one)] == []


def test_no_figure_holds_a_number(heard: tuple[Said, Server]) -> None:
    assert marked(httpx.get(f"{heard[1].url}/metrics").text) == []


@pytest.mark.parametrize("command", ["validate", "import", "explain"])
def test_no_command_prints_a_number(database: str, tmp_path: Path, command: str) -> None:
    """The report of an import says which line, which place and which rule."""
    file = tmp_path / "push.ndjson"
    lines = [json.write({**bad, "id": f"bad{at}"}).decode() for at, bad in enumerate(BAD)]
    file.write_text("\n".join([*lines, f'{{"identifier": {NUMBER}', NUMBER]), encoding="utf-8")
    searches = [f"Patient?identifier={CCCD}|{NUMBER}", f"Patient?{NUMBER}=1"]
    given = {"explain": searches}.get(command, [str(file)])
    where = [] if command == "validate" else [f"--database-url={database}"]
    for argument in given:
        done = subprocess.run(
            [sys.executable, "-m", "ehr_server", command, *where, argument],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"EHR_DATA_DIR": str(tmp_path)},
        )
        assert done.stdout
        assert "Traceback" not in done.stderr
        assert [one for one in (done.stdout + done.stderr).splitlines() if marked(one)] == []


def test_no_line_of_the_log_holds_a_number(heard: tuple[Said, Server]) -> None:
    """Tested last: the server ends, so that all it had to say is said."""
    server = heard[1]
    server.process.terminate()
    server.process.wait(30)
    logged = server.logged()
    assert "failed" in logged, "what could not be done is told"
    assert [line for line in logged.splitlines() if marked(line)] == []
    assert server.process.stdout is not None
    assert marked(server.process.stdout.read()) == []
