"""What is hidden stays hidden where resources hang together: references, merges, versions, time.

https://hl7.org/fhir/R4/security.html#AccessDenied: "return a 404 ... this does not reveal that the
resource exists". What tests/properties/test_no_leak.py says of whole records, here of one thing
each. Asked without a socket.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import psycopg
import pytest

from api.access_record import binary, observation, parameters, referring
from api.patients import REVIEWED, fresh_number, resident
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.access.entitled import entitled
from ehr_server.access.policies import policies
from ehr_server.access.restrict import restrict
from ehr_server.search.parse import parse
from ehr_server.search.rules import Rules
from inside import HERE, Inside, Told, caller, inside
from searching import HANOI

FEMALE = ("system/Patient.cruds?gender=female", "system/Observation.cruds?status=final")
SOME = caller("some", FEMALE, policy="everything")  # who may do everything, to a part of it


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Inside]:
    with inside(module_database, duplicates="off") as found:
        found.put({"resourceType": "Organization", "id": "bv1", "name": "BV"})
        yield found


def made(here: Inside, resource: dict[str, Any], by: Caller = LOOPBACK) -> str:
    answer = here.ask(by, f"POST {resource['resourceType']}", resource)
    assert answer.status == 201, answer.body
    return str(answer.resource["id"])


def hidden_patient(here: Inside) -> str:
    return made(here, resident(gender="male"))


def alike(one: Told, other: Told, id_: str, missing: str) -> None:
    """The answers are the same but for the id that was asked for."""
    assert one.status == other.status
    assert one.body == other.body.replace(missing.encode(), id_.encode())


def test_a_cascade_does_not_name_what_stands_in_its_way(here: Inside) -> None:
    """Where all that refers would be deleted along, and some of it is hidden."""
    patient = made(here, resident())
    seen = made(here, observation(patient))
    hidden = made(here, observation(patient, status="preliminary"))
    answer = here.ask(SOME, f"DELETE Patient/{patient}?_cascade=delete")
    assert answer.status == 403
    assert patient.encode() in answer.body
    assert hidden.encode() not in answer.body
    assert here.ask(LOOPBACK, f"GET Observation/{seen}").status == 200


def test_nothing_goes_along_with_what_is_hidden(here: Inside) -> None:
    """A delete of a hidden resource does as one of nothing."""
    patient = hidden_patient(here)
    own = made(here, observation(patient))
    answer = here.ask(SOME, f"DELETE Patient/{patient}?_cascade=delete")
    nothing = here.ask(SOME, "DELETE Patient/nobody?_cascade=delete")
    alike(answer, nothing, patient, "nobody")
    assert here.ask(SOME, f"GET Observation/{own}").status == 200


def test_how_many_refer_is_not_told_where_some_are_hidden(here: Inside) -> None:
    doctor = caller("directory", ("system/*.cruds",), policy="administrator")
    named = made(here, {"resourceType": "Practitioner"})
    hidden = []
    for _ in range(2):
        one = observation(made(here, resident()), performer=[referring(f"Practitioner/{named}")])
        hidden.append(made(here, one))
    answer = here.ask(doctor, f"DELETE Practitioner/{named}")
    assert answer.status == 409
    assert not any(id_.encode() in answer.body for id_ in hidden)
    assert b"as others refer to it: what you may not read. Delete" in answer.body
    shown = here.ask(LOOPBACK, f"DELETE Practitioner/{named}")
    assert b"2 in all" in shown.body
    assert all(id_.encode() in shown.body for id_ in hidden)


@pytest.mark.parametrize("name", ["merge", "unmerge"])
def test_a_hidden_record_is_merged_as_one_that_is_not_there(here: Inside, name: str) -> None:
    hidden, target = hidden_patient(here), made(here, resident())
    if name == "unmerge":
        both = pair(hidden, target)
        assert here.ask(LOOPBACK, "POST Patient/$merge", both).status == 200
    answer, nothing = (
        here.ask(SOME, f"POST Patient/${name}", pair(source, target))
        for source in (hidden, "nobody")
    )
    assert answer.status == 422
    alike(answer, nothing, hidden, "nobody")


def pair(source: str, target: str) -> dict[str, Any]:
    return parameters(
        ("source-patient", "valueReference", referring(f"Patient/{source}")),
        ("target-patient", "valueReference", referring(f"Patient/{target}")),
    )


def test_a_purge_asks_for_the_whole_record(here: Inside) -> None:
    """It removes, and tells the number of, what the caller may not read as well."""
    patient = made(here, resident())
    asked = f"POST Patient/{patient}/$purge?reason=court&confirm={patient}&dry-run=true"
    assert here.ask(SOME, asked).status == 403
    whole = caller("whole", ("system/*.cruds",), policy="everything")
    assert here.ask(whole, asked).status == 200


def test_a_version_of_a_binary_is_seen_by_what_it_named_then(here: Inside) -> None:
    """https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext: once it was another
    patient's."""
    mine, theirs = made(here, resident()), made(here, resident())
    one = binary(securityContext=referring(f"Patient/{theirs}"))
    id_ = made(here, one)
    other = {**one, "id": id_, "securityContext": referring(f"Patient/{mine}")}
    assert here.ask(LOOPBACK, f"PUT Binary/{id_}", other).status == 200
    person = caller("person", ("patient/*.cruds",), policy="person", patient=mine)
    accept = {"accept": "application/fhir+json"}
    assert here.ask(person, f"GET Binary/{id_}", **accept).status == 200
    assert here.ask(person, f"GET Binary/{id_}/_history/2", **accept).status == 200
    assert here.ask(person, f"GET Binary/{id_}/_history/1", **accept).status == 404
    history = here.ask(person, f"GET Binary/{id_}/_history")
    assert [one["resource"]["meta"]["versionId"] for one in history.resource["entry"]] == ["2"]


def test_a_former_version_is_not_shown_by_a_negated_chain(here: Inside) -> None:
    """What its Patient is cannot be told by the version alone, so neither can that it is not."""
    scope = "system/Observation.rs?_filter=not(patient.gender+eq+male)"
    reader = caller("reader", (scope,), policy="everything")
    him, her = hidden_patient(here), made(here, resident())
    id_ = made(here, observation(him))
    assert here.ask(reader, f"GET Observation/{id_}").status == 404
    here.ask(LOOPBACK, f"PUT Observation/{id_}", {**observation(her), "id": id_})
    assert here.ask(reader, f"GET Observation/{id_}").status == 200
    assert here.ask(reader, f"GET Observation/{id_}/_history/1").status == 404


def test_a_patient_who_is_linked_to_another_is_not_found_by_that_other(here: Inside) -> None:
    """By Patient.link one lies in another's compartment
    (https://hl7.org/fhir/R4/compartmentdefinition-patient.html): neither a read nor a chain leads
    there."""
    mine = made(here, resident())
    link = [{"other": referring(f"Patient/{mine}"), "type": "seealso"}]
    other = made(here, resident(link=link))
    made(here, observation(mine, performer=[referring(f"Patient/{other}")]))
    person = caller("person", ("patient/*.cruds",), policy="person", patient=mine)
    assert here.ask(person, f"GET Patient/{other}").status == 404
    assert here.ask(person, f"GET Patient/{other}/_history/1").status == 404
    assert here.ask(person, "GET Observation").resource["total"] == 1
    for way in (
        "Observation?performer:Patient.gender=female",
        "Observation?performer.birthdate=1974",
    ):
        assert here.ask(LOOPBACK, f"GET {way}").resource["total"] == 1
        assert here.ask(person, f"GET {way}").resource["total"] == 0


def test_a_task_of_the_review_list_is_named_to_who_may_read_it(here: Inside) -> None:
    facility = caller("bv1", ("system/*.cruds",), policy="facility", facility="bv1")
    prefer = {"prefer": f"{REVIEWED['Prefer']}, return=OperationOutcome"}
    for by, is_told in ((facility, False), (LOOPBACK, True)):
        number = fresh_number()
        made(here, resident(number))
        answer = here.ask(by, "POST Patient", resident(number), **prefer)
        assert answer.status == 201
        assert (b"Task/" in answer.body) == is_told


def test_a_part_of_one_type_takes_nothing_from_the_others(here: Inside) -> None:
    """A search of several types, of the first of which some ids alone are within reach."""
    number = fresh_number()
    patient = made(here, resident(number))
    seen = made(here, observation(patient))
    of_id, of_number = (
        caller("some", (f"system/Patient.rs?{one}", "system/Observation.rs"), policy="everything")
        for one in (f"_id={patient}", f"identifier={number}")
    )
    person = caller("person", ("patient/*.rs",), policy="person", patient=patient)
    for one in (of_id, of_number, person):
        found = here.ask(one, "GET ?_type=Patient,Observation").resource["entry"]
        assert {patient, seen} <= {entry["resource"]["id"] for entry in found}


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ("Patient?_has:Condition:patient:code=x&_total=estimate", "accurate"),
        ("Patient?_has:Observation:patient:code=x&_total=estimate", "accurate"),
        ("Patient?organization.name=x&_total=estimate", "accurate"),
        ("Patient?gender=male&_total=estimate", "estimate"),
    ],
)
def test_nothing_is_estimated_from_what_is_hidden(here: Inside, asked: str, total: str) -> None:
    """The database makes its estimates of all rows, those too that a chain may not lead to."""
    scopes = ("system/Patient.rs", "system/Observation.rs?status=final")
    by = caller("some", scopes, policy="everything")
    rules = Rules(HANOI, HERE)
    may = entitled(by, policies(None), here.store, rules)
    type_name, _, pairs = asked.partition("?")
    assert restrict(parse(type_name, parse_qsl(pairs), rules), may).total == total


def test_an_update_of_what_is_hidden_tells_nothing_of_it(here: Inside) -> None:
    """That there is something under an id cannot be kept from who wants to write it there; what
    version it has, and what stands in it, can."""
    hidden = hidden_patient(here)
    answers = [
        here.ask(SOME, f"PUT Patient/{hidden}", {**resident(), "id": hidden}, **headers)
        for headers in ({}, {"if_match": 'W/"1"'}, {"if_match": 'W/"7"'}, {"if_none_match": "*"})
    ]
    assert [one.status for one in answers] == [403] * 4
    assert len({one.body for one in answers}) == 1


@pytest.mark.parametrize(
    "asked",
    ["GET Patient/{id}", "GET Patient/{id}/_history", "GET Patient/{id}/_history/1",
     "GET Patient/{id}/$everything", "GET Patient/{id}/$meta", "GET Patient/{id}/$validate",
     "GET Patient/{id}/$export"],
)  # fmt: skip
def test_as_much_is_asked_of_the_database_for_hidden_and_for_missing(
    here: Inside, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And for what was deleted. Statements are counted, for times are noisy."""
    hidden, deleted = hidden_patient(here), made(here, resident())
    assert here.ask(LOOPBACK, f"DELETE Patient/{deleted}").status == 204
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        statements.append(str(query))
        return execute(cursor, query, *args, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    counts = {}
    wish = {"prefer": "respond-async"} if "$export" in asked else {}
    # Once before, so that all words of the access log are there.
    here.ask(SOME, asked.replace("{id}", "nobody"), **wish)
    for id_ in (hidden, "nobody", deleted):
        statements.clear()
        answer = here.ask(SOME, asked.replace("{id}", id_), **wish)
        assert answer.status == 404, answer.body
        counts[id_] = len(statements)
    assert counts[hidden] == counts["nobody"] == counts[deleted] > 1
