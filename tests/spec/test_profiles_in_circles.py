"""Profiles whose references lead to each other, and documents of many entries: they end, and the
time grows with the number of entries. https://hl7.org/fhir/R4/profiling.html#resources
"""

from __future__ import annotations

from typing import Any

import pytest

from ehr_server.definitions.catalog import artifact, shipped
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.validation.policy import Policy
from ehr_server.validation.rulebook import Rulebook
from profiling import OWN, definition

Resource = dict[str, Any]


def _rulebook(*definitions: Resource) -> Rulebook:
    catalog = shipped().plus("test#1", [artifact(one, "test#1") for one in definitions])
    strict = {one["url"]: "reject" for one in definitions}
    return Rulebook(catalog, Policy(profiles={**strict, "*": "off"}))


def _to(name: str, path: str) -> Resource:
    """An element that refers to a resource of the profile."""
    return {"id": path, "type": [{"code": "Reference", "targetProfile": [OWN + name]}]}


# A patient's link leads to another patient; a visit's part leads to a visit.
A = definition(_to("b", "Patient.link.other"), {"id": "Patient.birthDate", "min": 1}, name="a")
B = definition(_to("a", "Patient.link.other"), {"id": "Patient.gender", "min": 1}, name="b")


def _url(at: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{at:012}"


def _patient(*links: int, profile: str | None = None, **more: Any) -> Resource:
    patient: Resource = {"resourceType": "Patient", "birthDate": "2001", "gender": "female"}
    if profile:
        patient["meta"] = {"profile": [OWN + profile]}
    if links:
        patient["link"] = [{"other": {"reference": _url(one)}, "type": "seealso"} for one in links]
    return patient | more


def _bundle(*resources: Resource) -> Resource:
    entries = [{"fullUrl": _url(at), "resource": one} for at, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _places(issues: list[Issue]) -> set[tuple[str, str]]:
    return {(issue.expression[0], issue.rule) for issue in issues}


def _without(name: str, patient: Resource) -> Resource:
    return {key: value for key, value in patient.items() if key != name}


def test_two_that_refer_to_each_other() -> None:
    rulebook = _rulebook(A, B)
    one, other = _patient(1, profile="a"), _patient(0, profile="b")
    assert rulebook.check(_bundle(one, other)) == []
    assert _places(rulebook.check(_bundle(one, _without("gender", other)))) == {
        ("Bundle.entry[0].resource.link[0].other", "target"),
        ("Bundle.entry[1].resource.gender", "min"),
        ("Bundle.entry[1].resource.link[0].other", "target"),  # what it leads to is no `a` either
    }


def test_one_that_refers_to_itself() -> None:
    """The patient is to be an `a` and a `b`: the second is not asked for by its claim."""
    rulebook = _rulebook(A, B)
    assert rulebook.check(_bundle(_patient(0, profile="a"))) == []
    itself = _without("gender", _patient(0, profile="a"))
    assert _places(rulebook.check(_bundle(itself))) == {
        ("Bundle.entry[0].resource.link[0].other", "target")
    }


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_fault_in_a_circle_is_told_of_all_that_lead_to_it(first: str) -> None:
    """What was decided of a circle while it was walked counts for no one else: whichever entry is
    looked at first, the answer is the same."""
    rulebook = _rulebook(A, B)
    # 0 -> 1 -> 2 -> 0, and 3 -> 1: that 2 is no `a` makes 1 no `b`, and so on all around.
    profiles = ("a", "b", "a", "a") if first == "a" else ("b", "a", "b", "b")
    lacking = "birthDate" if first == "a" else "gender"
    entries = [_patient(at, profile=one) for at, one in zip((1, 2, 0, 1), profiles, strict=True)]
    entries[2] = _without(lacking, entries[2])
    found = _places(rulebook.check(_bundle(*entries)))
    place = "Bundle.entry[{}].resource.link[0].other"
    assert (place.format(1), "target") in found
    assert (place.format(0), "target") in found
    assert (place.format(3), "target") in found
    assert (f"Bundle.entry[2].resource.{lacking}", "min") in found


def test_profiles_that_contradict_each_other() -> None:
    """A reference to what no resource can be: no reference to something at hand keeps to it."""
    male = definition({"id": "Patient.gender", "min": 1, "fixedCode": "male"}, name="male")
    both = definition(_to("male", "Patient.link.other"), name="both", baseDefinition=OWN + "none")
    none = definition({"id": "Patient.gender", "max": "0"}, name="none")
    rulebook = _rulebook(male, none, both)
    (issue,) = rulebook.check(_bundle(_without("gender", _patient(0, profile="both"))))
    assert (issue.expression, issue.rule) == (
        ("Bundle.entry[0].resource.link[0].other",),
        "target",
    )


def test_profiles_of_types_that_lead_to_each_other() -> None:
    """`contained` of profile a is of profile b, whose `contained` is of profile a."""
    of = [
        definition(
            {"id": "Patient.contained", "type": [{"code": "Patient", "profile": [OWN + inner]}]},
            name=name,
        )
        for name, inner in (("c", "d"), ("d", "c"))
    ]
    inside = _patient(profile="d") | {"id": "p"}
    outer = _patient(profile="c", contained=[inside]) | {
        "link": [{"other": {"reference": "#p"}, "type": "seealso"}]
    }
    assert _rulebook(*of).check(outer) == []


def test_a_long_chain_of_references() -> None:
    """Each entry is to be a resource of the profile, and so is what it refers to, to the end."""
    rulebook = _rulebook(A, B)
    count = 5_000
    chain = [_patient((at + 1) % count, profile="ab"[at % 2]) for at in range(count)]
    assert rulebook.check(_bundle(*chain)) == []
    chain[-1] = _without("gender", chain[-1])
    issues = rulebook.check(_bundle(*chain))
    assert (f"Bundle.entry[{count - 1}].resource.gender", "min") in _places(issues)


def _document(count: int) -> Resource:
    """A composition with `count` observations of one patient, all at hand."""
    patient = _patient()
    observations = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": _url(1)},
            "valueString": "y",
        }
        for _ in range(count)
    ]
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2026-01-01",
        "title": "x",
        "author": [{"display": "x"}],
        "subject": {"reference": _url(1)},
        "section": [{"title": "x", "entry": [{"reference": _url(at + 2)} for at in range(count)]}],
    }
    bundle = _bundle(composition, patient, *observations)
    return _read(
        {
            **bundle,
            "type": "document",
            "identifier": {"system": "urn:x", "value": "1"},
            "timestamp": "2026-01-01T00:00:00Z",
            "meta": {"profile": [OWN + "document"]},
        }
    )


def _read(value: Resource) -> Resource:
    found: Resource = json.read(json.write(value))
    return found


RESULT = definition(_to("a", "Observation.subject"), type_="Observation", name="result")
REPORT = definition(
    {
        "id": "Composition.section.entry",
        "slicing": {"rules": "open", "discriminator": [{"type": "profile", "path": "resolve()"}]},
    },
    {"id": "Composition.section.entry:result", "sliceName": "result", "min": 1}
    | {"type": [{"code": "Reference", "targetProfile": [OWN + "result"]}]},
    type_="Composition",
    name="report",
)
DOCUMENT = definition(
    {
        "id": "Bundle.entry",
        "slicing": {"rules": "open", "discriminator": [{"type": "profile", "path": "resource"}]},
    },
    {"id": "Bundle.entry:report", "sliceName": "report", "min": 1, "max": "1"},
    {"id": "Bundle.entry:report.resource", "min": 1}
    | {"type": [{"code": "Composition", "profile": [OWN + "report"]}]},
    {"id": "Bundle.entry:result", "sliceName": "result", "min": 1},
    {"id": "Bundle.entry:result.resource", "min": 1}
    | {"type": [{"code": "Observation", "profile": [OWN + "result"]}]},
    type_="Bundle",
    name="document",
)


def test_a_document_of_thousands_of_entries() -> None:
    """Its entries refer to each other, and Python's stack does not mind how many they are."""
    rulebook = _rulebook(A, B, RESULT, REPORT, DOCUMENT)
    assert rulebook.check(_document(2_000)) == []
