"""https://hl7.org/fhir/R4/search.html#revinclude, paragraph by paragraph."""

from dataclasses import replace
from typing import Any

import pytest

from ehr_server.access import include
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.access.include import INCLUDED_MAX, ROUNDS_MAX, Included, Reader, included
from ehr_server.errors import Invalid
from ehr_server.fhir.bundle import identity
from ehr_server.search.query import At, Negation, Query
from searching import HERE, Record

CHAIN = ROUNDS_MAX + 3


def _observation(id_: str, subject: str | None = None, **rest: Any) -> dict[str, Any]:
    about = {"subject": {"reference": subject}} if subject else {}
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"},
        **about, **rest,
    }  # fmt: skip


def _organization(id_: str, part_of: str) -> dict[str, Any]:
    return {
        "resourceType": "Organization", "id": id_, "name": id_,
        "partOf": {"reference": f"Organization/{part_of}"},
    }  # fmt: skip


def _refer(*texts: str) -> list[dict[str, Any]]:
    return [{"reference": text} for text in texts]


RECORD: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "a",
        "generalPractitioner": _refer("Practitioner/d", "Organization/r1"),
        "managingOrganization": {"reference": "Organization/r1"},
    },
    {"resourceType": "Patient", "id": "b", "link": [{
        "other": {"reference": "Patient/a"}, "type": "seealso",
    }]},
    {"resourceType": "Patient", "id": "gone"},
    {"resourceType": "Practitioner", "id": "d"},
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True},
    _organization("r1", "r2"),
    _organization("r2", "r3"),
    _organization("r3", "r1"),
    *(_organization(f"c{number}", f"c{number + 1}") for number in range(CHAIN)),
    {
        "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": "Patient/a"},
    },
    _observation(
        "own", "Patient/a", encounter={"reference": "Encounter/e"},
        performer=_refer("Practitioner/d", "Organization/r1", "Practitioner/d"),
        effectiveDateTime="2024-01-01",
    ),
    _observation("version", "Patient/a/_history/7", effectiveDateTime="2024-01-02"),
    _observation("absolute", f"{HERE}/Patient/b"),
    _observation("group", "Group/g"),
    _observation("elsewhere", "http://there/fhir/Patient/a"),
    _observation("deleted", "Patient/gone"),
    _observation("absent", "Patient/none"),
    _observation(
        "contained", "#p", contained=[{"resourceType": "Patient", "id": "p", "active": True}]
    ),
    {**_observation("logical"), "subject": {"identifier": {"value": "1"}}},
    _observation("whole", "Patient/a", hasMember=_refer("Observation/own", "Observation/part")),
    _observation("part", "Patient/a", derivedFrom=_refer("Observation/whole")),
    _observation("about-b", "Patient/b", performer=_refer("Patient/a")),
    # what an element refers to that no search parameter reads is not for the wild card
    _observation("device", specimen={"reference": "Specimen/s"}, note=[{
        "text": "x", "authorReference": {"reference": "Practitioner/d"},
    }]),
    {"resourceType": "Specimen", "id": "s"},
    {
        "resourceType": "AuditEvent", "id": "audit", "recorded": "2024-01-01T00:00:00Z",
        "type": {"code": "rest"}, "source": {"observer": {"reference": "Organization/r1"}},
        "agent": [{"requestor": True, "who": {"reference": "Practitioner/d"}}],
        "entity": [{"what": {"reference": "Patient/a"}}],
    },
    {
        "resourceType": "QuestionnaireResponse", "id": "answers", "status": "completed",
        "questionnaire": f"{HERE}/Questionnaire/q",
    },
    {"resourceType": "Questionnaire", "id": "q", "status": "active"},
]  # fmt: skip


@pytest.fixture(scope="module")
def there(here: Record) -> Record:
    """The record, from which one patient is gone."""
    here.delete("Patient", "gone")
    return here


def come(record: Record, address: str) -> Included:
    """What comes along with the first page of a search."""
    query = record.query(address)
    matches = record.run(query).matches
    with record.store.connection() as connection:
        reader = Reader(record.store, connection, LOOPBACK, record.rules)
        return included(reader, matches, query.includes)


def names(found: Included) -> list[str]:
    return ["/".join(identity(content)) for content in found.contents]


@pytest.mark.covers("result", "_include")
@pytest.mark.parametrize(
    ("address", "found"),
    [
        # "follow links forward": what is referred to by the parameter, each once
        ("Observation?_id=own&_include=Observation:subject", ["Patient/a"]),
        ("Observation?_id=own,version&_include=Observation:subject", ["Patient/a"]),
        ("Observation?_id=own&_include=Observation:patient", ["Patient/a"]),
        ("Observation?_id=group&_include=Observation:subject", ["Group/g"]),
        ("Observation?_id=group&_include=Observation:patient", []),
        (
            "Observation?_id=own&_include=Observation:performer",
            ["Practitioner/d", "Organization/r1"],
        ),
        # its third part, "a specific type of target resource"
        ("Observation?_id=own&_include=Observation:performer:Organization", ["Organization/r1"]),
        ("Observation?_id=own&_include=Observation:performer:Patient", []),
        # several of them: "the parameters are repeated"
        (
            "Observation?_id=own&_include=Observation:encounter&_include=Observation:subject",
            ["Encounter/e", "Patient/a"],
        ),
        (
            "Observation?_id=own&_include=Observation:subject&_include=Observation:subject",
            ["Patient/a"],
        ),
        # a version leads to the current one; an address of ours is one of ours
        ("Observation?_id=version&_include=Observation:subject", ["Patient/a"]),
        ("Observation?_id=absolute&_include=Observation:subject", ["Patient/b"]),
        (
            "QuestionnaireResponse?_id=answers&_include=QuestionnaireResponse:questionnaire",
            ["Questionnaire/q"],
        ),
        # without a reference or a resource to be had nothing comes, "and no error is returned"
        ("Observation?_id=elsewhere&_include=Observation:subject", []),
        ("Observation?_id=deleted&_include=Observation:subject", []),
        ("Observation?_id=absent&_include=Observation:subject", []),
        ("Observation?_id=contained&_include=Observation:subject", []),
        ("Observation?_id=logical&_include=Observation:subject", []),
        ("Observation?_id=nobody&_include=Observation:subject", []),
        # a parameter that tells its values by their type alone
        ("AuditEvent?_id=audit&_include=AuditEvent:patient", ["Patient/a"]),
        ("AuditEvent?_id=audit&_include=AuditEvent:agent", ["Practitioner/d"]),
        # another type's reference leads nowhere from here
        ("Observation?_id=own&_include=Patient:organization", []),
        # a match is never included as well
        ("Observation?_id=whole,own&_include=Observation:has-member", ["Observation/part"]),
        # the wild card: "any search parameter of type=reference"
        (
            "Observation?_id=own&_include=Observation:*",
            ["Encounter/e", "Organization/r1", "Patient/a", "Practitioner/d"],
        ),
        (
            "Observation?_id=own&_include=*",
            ["Encounter/e", "Organization/r1", "Patient/a", "Practitioner/d"],
        ),
        ("Observation?_id=own&_include=Observation:*:Patient", ["Patient/a"]),
        ("Observation?_id=device&_include=*", ["Specimen/s"]),
        ("Observation?_id=own&_include=Patient:*", []),
    ],
)  # fmt: skip
def test_what_is_referred_to_comes_along(there: Record, address: str, found: list[str]) -> None:
    come_along = names(come(there, address))
    assert (sorted(come_along) if "*" in address else come_along) == found


@pytest.mark.covers("result", "_revinclude")
@pytest.mark.parametrize(
    ("address", "found"),
    [
        # "follow reverse links": a version refers to its resource too; the newest come first
        ("Patient?_id=a&_revinclude=Encounter:patient", ["Encounter/e"]),
        (
            "Patient?_id=b&_revinclude=Observation:subject",
            ["Observation/about-b", "Observation/absolute"],
        ),
        ("Patient?_id=a&_revinclude=Observation:performer", ["Observation/about-b"]),
        ("Patient?_id=a&_revinclude=Observation:subject:Group", []),
        ("Patient?_id=a&_revinclude=Patient:link", ["Patient/b"]),
        ("Patient?_id=a,b&_revinclude=Patient:link", []),
        ("Patient?_id=none&_revinclude=Observation:subject", []),
        ("Group?_id=g&_revinclude=Observation:subject", ["Observation/group"]),
        ("Group?_id=g&_revinclude=Observation:patient", []),
        ("Practitioner?_id=d&_revinclude=Patient:general-practitioner", ["Patient/a"]),
        ("Encounter?_id=e&_revinclude=Observation:encounter", ["Observation/own"]),
        ("Observation?_id=own,part&_revinclude=Observation:has-member", ["Observation/whole"]),
        ("Patient?_id=a&_revinclude=AuditEvent:patient", ["AuditEvent/audit"]),
        (
            "Questionnaire?_id=q&_revinclude=QuestionnaireResponse:questionnaire",
            ["QuestionnaireResponse/answers"],
        ),
        # each once, whichever way it refers
        (
            "Practitioner?_id=d&_revinclude=Observation:performer&_revinclude=Observation:*",
            ["Observation/own"],
        ),
        (
            "Patient?_id=b&_revinclude=Observation:*",
            ["Observation/about-b", "Observation/absolute"],
        ),
        # both ways at once: what is referred to comes first
        (
            "Encounter?_id=e&_revinclude=Observation:encounter&_include=Encounter:subject",
            ["Patient/a", "Observation/own"],
        ),
    ],
)  # fmt: skip
def test_what_refers_comes_along(there: Record, address: str, found: list[str]) -> None:
    assert names(come(there, address)) == found


def test_of_those_that_refer_the_newest_come_first(there: Record) -> None:
    found = names(come(there, "Patient?_id=a&_revinclude=Observation:subject"))
    assert found[:2] == ["Observation/version", "Observation/own"]
    assert set(found) == {f"Observation/{id_}" for id_ in ("version", "own", "whole", "part")}


@pytest.mark.covers("result", "_include", "_revinclude")
@pytest.mark.parametrize(
    ("address", "found"),
    [
        # "the inclusion process can be iterative, if (and only if) the modifier :iterate is
        # included"
        (
            "Observation?_id=own&_include=Observation:subject&_include=Patient:organization",
            ["Patient/a"],
        ),
        (
            "Observation?_id=own&_include=Observation:subject&_include:iterate=Patient:organization",
            ["Patient/a", "Organization/r1"],
        ),
        (
            "Observation?_id=own&_include=Observation:subject&_include:recurse=Patient:organization",
            ["Patient/a", "Organization/r1"],
        ),
        # of the matches too, whatever the order of the parameters
        (
            "Patient?_id=a&_include:iterate=Organization:partof&_include:iterate=Patient:organization",
            ["Organization/r1", "Organization/r2", "Organization/r3"],
        ),
        # a ring ends where it began
        (
            "Organization?_id=r1&_include:iterate=Organization:partof",
            ["Organization/r2", "Organization/r3"],
        ),
        (
            "Organization?_id=r1&_revinclude:iterate=Organization:partof",
            ["Organization/r3", "Organization/r2"],
        ),
        (
            "Organization?_id=r1&_include:iterate=Organization:partof"
            "&_revinclude:iterate=Organization:partof",
            ["Organization/r2", "Organization/r3"],
        ),
        ("Organization?_id=r1&_include=Organization:partof", ["Organization/r2"]),
        ("Observation?_id=whole&_include:iterate=Observation:derived-from", []),
        # backwards, then forwards from there
        (
            "Encounter?_id=e&_revinclude=Observation:encounter"
            "&_include:iterate=Observation:performer:Practitioner",
            ["Observation/own", "Practitioner/d"],
        ),
        (
            "Patient?_id=b&_include:iterate=*",
            [
                "Patient/a", "Practitioner/d", "Organization/r1", "Organization/r2",
                "Organization/r3",
            ],
        ),
    ],
)  # fmt: skip
def test_what_came_along_brings_more_if_that_is_asked(
    there: Record, address: str, found: list[str]
) -> None:
    come_along = come(there, address)
    assert names(come_along) == found
    assert come_along.cut == ()


def test_a_chain_is_followed_so_far_and_no_further(there: Record) -> None:
    found = come(there, "Organization?_id=c0&_include:iterate=Organization:partof")
    assert names(found) == [f"Organization/c{number + 1}" for number in range(ROUNDS_MAX)]
    assert found.cut == ("_include:iterate=Organization:partof",)
    far_enough = come(there, f"Organization?_id=c{CHAIN - 5}&_include:iterate=Organization:partof")
    assert far_enough.cut == ()


def test_more_than_a_page_holds_is_cut_and_told(
    there: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert INCLUDED_MAX == 1000
    monkeypatch.setattr(include, "INCLUDED_MAX", 2)
    back, forth = "_revinclude=Observation:subject", "_include=Patient:general-practitioner"
    assert come(there, f"Patient?_id=b&{back}").cut == ()
    found = come(there, f"Patient?_id=a&{back}")
    assert names(found) == ["Observation/version", "Observation/own"]
    assert found.cut == (back,)
    assert come(there, f"Patient?_id=a&{forth}").cut == ()
    found = come(there, f"Patient?_id=a&{forth}&{back}&_revinclude=Encounter:patient")
    assert names(found) == ["Practitioner/d", "Organization/r1"]
    assert found.cut == (back, "_revinclude=Encounter:patient")
    found = come(there, "Observation?_id=own&_include=Observation:*")
    assert len(names(found)) == 2
    assert found.cut == ("_include=Observation:*",)


def test_what_the_caller_may_not_find_does_not_come_along(
    there: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restriction of today withholds nothing: this one withholds what has a name's id."""
    withheld = {"a", "own", "r2"}

    def restrict(query: Query, caller: Caller) -> Query:
        assert caller is LOOPBACK
        hidden = there.query(f"{query.type}?_id={','.join(sorted(withheld))}").criteria
        return replace(query, criteria=(*query.criteria, *map(Negation, hidden)))

    monkeypatch.setattr(include, "restrict", restrict)
    assert names(come(there, "Observation?_id=own,group&_include=Observation:subject")) == [
        "Group/g"
    ]
    found = names(come(there, "Patient?_id=a&_revinclude=Observation:subject"))
    assert set(found) == {"Observation/version", "Observation/whole", "Observation/part"}
    # nor what only leads on from there
    found = names(come(there, "Organization?_id=r1&_include:iterate=Organization:partof"))
    assert found == []


def test_places_are_a_criterion_as_any_other(there: Record) -> None:
    (match,) = there.run(there.query("Observation?_id=own")).matches
    at = At(((match.comp, match.key),))
    query = replace(there.query("Observation?"), criteria=(at,))
    assert [identity(one.content)[1] for one in there.run(query).matches] == ["own"]
    query = there.query("Observation?patient=a")
    query = replace(query, criteria=(*query.criteria, Negation(at)))
    found = {identity(one.content)[1] for one in there.run(query).matches}
    assert found == {"version", "whole", "part"}


@pytest.mark.parametrize("name", ["_include", "_revinclude"])
@pytest.mark.parametrize(
    ("modifier", "value", "reason"),
    [
        (":foo", "Observation:subject", "modifier :foo; it takes :iterate alone"),
        ("", "", "must be Type:reference"),
        ("", "Observation", "must be Type:reference"),
        ("", "Observation:", "must be Type:reference"),
        ("", "subject", "must be Type:reference"),
        ("", "Observation:subject:", "must be Type:reference"),
        ("", "Observation:subject:Patient:Group", "must be Type:reference"),
        ("", "Nonsense:subject", "a type that FHIR does not have"),
        ("", "*:subject", "a type that FHIR does not have"),
        ("", "Observation:subject:Nonsense", "a type that FHIR does not have"),
        ("", "Observation:nonsense", "goes on from nonsense, which Observation cannot"),
        ("", "Observation:subject,Observation:encounter", "takes one value; repeat it"),
        ("", "Observation:code", "goes on from code, which is no reference"),
        ("", "Observation:code-value-quantity", "cannot be searched by"),
        ("", "Observation:_id", "goes on from _id, which is no reference"),
        ("", "Observation:subject:Practitioner", "goes on to Practitioner, to which"),
        ("", "Observation:patient:Group", "goes on to Group, to which patient cannot refer"),
    ],
)  # fmt: skip
def test_what_names_no_reference_is_refused(
    there: Record, name: str, modifier: str, value: str, reason: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        there.query(f"Observation?{name}{modifier}={value}")
    (issue,) = refusal.value.issues
    assert issue.text.startswith(f"The search parameter {name}{modifier} ")
    assert reason in issue.text
    assert issue.vi


def test_all_that_refers_is_too_much(there: Record) -> None:
    """ "Servers may choose": the wild card backwards would look through every type."""
    with pytest.raises(Invalid, match="would look through all types"):
        there.query("Patient?_revinclude=*")
