"""What is kept of resources, by the marks of the types: https://hl7.org/fhir/R4/search.html#summary
and https://hl7.org/fhir/R4/search.html#elements."""

from copy import deepcopy
from typing import Any

import pytest

from ehr_server.definitions import definitions
from ehr_server.definitions.subset import (
    SUMMARIES,
    Subset,
    elements,
    subset,
    unknown_elements,
)

R4 = definitions()
TRUE, TEXT, DATA = Subset("true"), Subset("text"), Subset("data")
TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
ALWAYS = {"resourceType", "id", "meta"}


def _all_of(type_name: str) -> dict[str, Any]:
    """All names that a resource can have, empty inside, all choices at once."""
    several = R4.types[type_name].elements.values()
    found = {name: {} for element in several for name, _ in element.json_names()}
    return {"resourceType": type_name, **found, "id": "x"}


def _kept(type_name: str, wanted: Subset) -> set[str]:
    return set(subset(_all_of(type_name), wanted))


@pytest.mark.parametrize(
    ("type_name", "wanted", "names"),
    [
        # #summary, true: "all supported elements that are marked as summary"
        (
            "Patient",
            TRUE,
            "implicitRules modifierExtension identifier active name telecom gender birthDate"
            " deceasedBoolean deceasedDateTime address managingOrganization link",
        ),
        ("Binary", TRUE, "implicitRules contentType securityContext"),
        # mandatory, and not marked in R4 all the same
        (
            "AuditEvent",
            TRUE,
            "implicitRules modifierExtension type subtype action recorded outcome"
            " outcomeDesc purposeOfEvent agent source",
        ),
        # #summary, text: "the text, id, meta, and top-level mandatory elements"
        ("Patient", TEXT, "text"),
        ("Observation", TEXT, "text status code"),
        ("Condition", TEXT, "text subject"),
        ("Bundle", TEXT, "type"),
        (
            "MedicationRequest",
            TEXT,
            "text status intent medicationCodeableConcept medicationReference subject",
        ),
        # #elements: what is listed, what is mandatory, and modifiers, which a client SHOULD list
        (
            "Patient",
            elements("birthDate"),
            "birthDate implicitRules modifierExtension active deceasedBoolean deceasedDateTime"
            " link",
        ),
        (
            "Observation",
            elements("issued"),
            "issued implicitRules modifierExtension status code",
        ),
    ],
)
def test_what_is_kept_at_the_top(type_name: str, wanted: Subset, names: str) -> None:
    assert _kept(type_name, wanted) == {*ALWAYS, *names.split()}


def test_data_removes_the_text_alone() -> None:
    """https://hl7.org/fhir/R4/search.html#summary: "Remove the text element"."""
    for type_name in R4.resource_types:
        assert _kept(type_name, DATA) == set(_all_of(type_name)) - {"text"} | {"meta"}


@pytest.mark.parametrize("wanted", [TRUE, TEXT, DATA, elements("id")], ids=lambda one: one.mode)
def test_mandatory_elements_are_always_kept(wanted: Subset) -> None:
    for type_name in R4.resource_types:
        several = R4.types[type_name].elements.values()
        owed = {name for one in several if one.min > 0 for name, _ in one.json_names()}
        assert owed <= _kept(type_name, wanted), type_name


@pytest.mark.parametrize("wanted", [TRUE, elements("id")], ids=lambda one: one.mode)
def test_modifiers_are_always_kept(wanted: Subset) -> None:
    for type_name in R4.resource_types:
        several = R4.types[type_name].elements.values()
        owed = {name for one in several if one.is_modifier for name, _ in one.json_names()}
        assert owed <= _kept(type_name, wanted), type_name


@pytest.mark.parametrize(
    ("asked", "kept", "left_out"),
    [
        ("value", {"valueQuantity", "valueString"}, {"issued", "method"}),
        ("value[x]", {"valueQuantity", "valueString"}, {"issued"}),
        ("valueQuantity", {"valueQuantity"}, {"valueString"}),
        ("issued,method", {"issued", "method"}, {"valueQuantity", "note"}),
        ("component.code", {"component"}, {"issued"}),  # no such paths in R4: its first step
        ("Observation.issued", {"issued"}, {"method"}),
        ("Observation.component.code", {"component"}, {"issued"}),
        ("Observation.issued,method", {"issued", "method"}, {"note"}),
        ("Observation.issued,Patient.name", {"issued"}, {"note"}),
        ("contained,text", {"contained", "text"}, {"note"}),
        ("Patient.name", {"issued", "note", "text"}, set()),  # nothing is said of this type
    ],
)
def test_names_of_elements(asked: str, kept: set[str], left_out: set[str]) -> None:
    found = _kept("Observation", elements(asked))
    assert found >= kept | ALWAYS
    assert not found & left_out


@pytest.mark.parametrize(
    ("asked", "types", "unknown"),
    [
        ("identifier,active,link", ["Patient"], ()),
        ("id,meta,text,contained,extension,modifierExtension", ["Patient"], ()),
        ("deceased,deceased[x],deceasedBoolean", ["Patient"], ()),
        ("name.family,Patient.name.family", ["Patient"], ()),
        ("Patient.name", ["Observation"], ()),  # of what `_include` adds
        ("nick,name", ["Patient"], ("nick",)),
        ("nick.name,Patient.nick", ["Patient"], ("nick", "Patient.nick")),
        ("Name", ["Patient"], ("Name",)),
        ("Patient", ["Patient"], ("Patient",)),
        ("Pateint.name", ["Patient"], ("Pateint",)),
        ("resourceType,_birthDate", ["Patient"], ("resourceType", "_birthDate")),
        ("", ["Patient"], ("",)),
        ("name,", ["Patient"], ("",)),
        ("Patient.", ["Patient"], ("Patient",)),
        ("name,code", ["Patient", "Observation"], ()),  # one of the types has it
        ("nick,code", ["Patient", "Observation"], ("nick",)),
        ("Patient.code", ["Patient", "Observation"], ("Patient.code",)),
    ],
)
def test_unknown_names_are_found(asked: str, types: list[str], unknown: tuple[str, ...]) -> None:
    assert unknown_elements(elements(asked), *types) == unknown


def test_a_list_of_elements_does_not_apply_to_included_resources() -> None:
    """https://hl7.org/fhir/R4/search.html#elements, unless it names their type."""
    assert elements("name").of_included() is None
    assert elements("name,Patient.birthDate").of_included() == elements("Patient.birthDate")
    assert TRUE.of_included() == TRUE


def test_values_of_summary() -> None:
    assert SUMMARIES == {"true": TRUE, "text": TEXT, "data": DATA, "false": None}


def test_the_front_and_the_tag() -> None:
    given = {"birthDate": "1990", "id": "x", "resourceType": "Patient"}
    found = subset(given, TRUE)
    assert list(found) == ["resourceType", "id", "meta", "birthDate"]
    assert found["meta"] == {"tag": [TAG]}


def test_other_tags_stay_and_its_own_comes_once() -> None:
    tag = {"system": "http://example.org/tags", "code": "SUBSETTED"}
    meta = {"versionId": "3", "profile": ["http://example.org/p"], "tag": [tag]}
    once = subset({"resourceType": "Patient", "id": "x", "meta": meta}, TEXT)
    assert once["meta"] == {**meta, "tag": [tag, TAG]}
    assert subset(once, DATA)["meta"] == once["meta"]


def test_the_given_resource_is_not_changed() -> None:
    given = {
        "resourceType": "DocumentReference",
        "id": "x",
        "meta": {"tag": [{"code": "a"}]},
        "text": {"status": "empty"},
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "data": "SG9h"}}],
    }
    before = deepcopy(given)
    for wanted in (TRUE, TEXT, DATA, elements("id"), elements("Patient.id")):
        assert subset(given, wanted) is not given
        assert given == before


def test_a_type_of_which_nothing_is_said_is_whole_and_has_no_tag() -> None:
    given = {"resourceType": "Observation", "id": "x", "text": {"status": "empty"}}
    assert subset(given, elements("Patient.id")) == given


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        # the type of an element decides, at every depth
        ({"contentType": "a/b", "data": "SG9h"}, {"contentType": "a/b"}),
        # `id` and `extension` go with what they are about
        (
            {
                "id": "1",
                "extension": [{"url": "u", "valueCode": "x"}],
                "title": "t",
                "data": "Ug==",
            },
            {"id": "1", "extension": [{"url": "u", "valueCode": "x"}], "title": "t"},
        ),
        # siblings of primitives follow
        ({"_title": {"id": "1"}, "_data": {"id": "2"}}, {"_title": {"id": "1"}}),
        # never an empty object
        ({"data": "SG9h"}, {"data": "SG9h"}),
    ],
)
def test_a_summary_cuts_inside_elements(value: dict[str, Any], kept: dict[str, Any]) -> None:
    given = {"resourceType": "DocumentReference", "content": [{"attachment": value}]}
    assert subset(given, TRUE)["content"] == [{"attachment": kept}]


def test_an_extension_is_kept_whole() -> None:
    extension = {"url": "http://example.org/e", "valueAttachment": {"data": "SG9h"}}
    given = {"resourceType": "Patient", "extension": [extension], "modifierExtension": [extension]}
    found = subset(given, TRUE)
    assert found["modifierExtension"] == [extension]
    assert "extension" not in found
