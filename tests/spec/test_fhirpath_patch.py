"""FHIRPath Patch: https://hl7.org/fhir/R4/fhirpatch.html, a case for each rule."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from ehr_server.errors import Invalid, TooLarge, Unprocessable
from ehr_server.fhir.patch import OPERATIONS_MAX
from ehr_server.fhirpath.patch import fhirpath_patch

PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "name": [
        {"use": "official", "family": "Phạm", "given": ["Thị", "Ngọp"]},
        {"use": "usual", "text": "bà Ngọp"},
    ],
    "birthDate": "1974-05-20",
    "deceasedBoolean": False,
    "extension": [{"url": "http://x.org/a", "valueString": "a"}],
}


def patched(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": "operation", "part": [{"name": n, **v} for n, v in one.items()]}
        for one in operations
    ]
    patch = fhirpath_patch({"resourceType": "Parameters", "parameter": parameters})
    return patch(deepcopy(resource))


def op(type_: str, path: str, **more: Any) -> dict[str, Any]:
    numbers = {n: {"valueInteger": v} for n, v in more.items() if isinstance(v, int)}
    texts = {n: {"valueString": v} for n, v in more.items() if isinstance(v, str)}
    others = {n: v for n, v in more.items() if isinstance(v, dict)}
    return {"type": {"valueCode": type_}, "path": {"valueString": path}} | numbers | texts | others


def test_add_appends_to_a_list() -> None:
    """The content will be appended to the element identified in the path."""
    value = {"valueContactPoint": {"system": "phone", "value": "0912"}}
    found = patched(PATIENT, op("add", "Patient", name="telecom", value=value))
    assert found["telecom"] == [value["valueContactPoint"]]
    given = op("add", "Patient.name[0]", name="given", value={"valueString": "Minh"})
    assert patched(PATIENT, given)["name"][0]["given"][-1] == "Minh"


def test_add_takes_an_element_that_does_not_repeat_and_is_not_there() -> None:
    """Add can be used for non-repeating elements as long as they do not already exist."""
    gender = op("add", "Patient", name="gender", value={"valueCode": "female"})
    assert patched(PATIENT, gender)["gender"] == "female"
    again = op("add", "Patient", name="birthDate", value={"valueDate": "1980"})
    with pytest.raises(Unprocessable, match="replace it"):
        patched(PATIENT, again)
    choice = op("add", "Patient", name="deceased", value={"valueDateTime": "2020"})
    with pytest.raises(Unprocessable):
        patched(PATIENT, choice)


@pytest.mark.parametrize("name", ["multipleBirth", "multipleBirth[x]", "multipleBirthInteger"])
def test_add_names_a_choice_with_its_type_or_without(name: str) -> None:
    added = op("add", "Patient", name=name, value={"valueInteger": 2})
    assert patched(PATIENT, added)["multipleBirthInteger"] == 2


def test_add_makes_a_backbone_of_parts() -> None:
    parts = [
        {"name": "name", "valueHumanName": {"text": "a son"}},
        {"name": "relationship", "valueCodeableConcept": {"text": "son"}},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
    ]
    found = patched(PATIENT, op("add", "Patient", name="contact", value={"part": parts}))
    assert found["contact"] == [
        {
            "name": {"text": "a son"},
            "relationship": [{"text": "son"}],
            "telecom": [{"value": "1"}, {"value": "2"}],
        }
    ]


@pytest.mark.parametrize(("index", "expected"), [(0, "abc"), (1, "bac"), (2, "bca")])
def test_insert_puts_it_at_the_index(index: int, expected: str) -> None:
    """The content will be inserted into the nominated list at the index specified (0 based)."""
    resource = {"resourceType": "Patient", "name": [{"text": "b"}, {"text": "c"}]}
    one = op("insert", "Patient.name", index=index, value={"valueHumanName": {"text": "a"}})
    assert "".join(name["text"] for name in patched(resource, one)["name"]) == expected


def test_insert_wants_an_index_within_the_list() -> None:
    """The index is mandatory and must be equal or less than the number of elements."""
    value = {"valueHumanName": {"text": "a"}}
    with pytest.raises(Unprocessable, match="fewer"):
        patched(PATIENT, op("insert", "Patient.name", index=3, value=value))
    with pytest.raises(Invalid, match="index"):
        patched(PATIENT, op("insert", "Patient.name", value=value))
    with pytest.raises(Unprocessable, match="as a whole"):
        patched(PATIENT, op("insert", "Patient.name[0]", index=0, value=value))
    with pytest.raises(Unprocessable, match="no list"):
        patched(PATIENT, op("insert", "Patient.birthDate", index=0, value=value))


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("Patient.birthDate", {"birthDate": None}),
        ("birthDate", {"birthDate": None}),
        ("Patient.deceased", {"deceasedBoolean": None}),
        ("Patient.deceased.ofType(boolean)", {"deceasedBoolean": None}),
        ("Patient.name[1]", {"name": PATIENT["name"][:1]}),  # type: ignore[index]
        ("Patient.name.where(use = 'usual')", {"name": PATIENT["name"][:1]}),  # type: ignore[index]
        ("Patient.name.last()", {"name": PATIENT["name"][:1]}),  # type: ignore[index]
        ("Patient.extension('http://x.org/a')", {"extension": None}),
        ("Patient.maritalStatus", {}),
        ("Patient.name.where(use = 'nickname')", {}),
    ],
)
def test_delete_takes_away_one_element_if_it_is_there(path: str, left: dict[str, Any]) -> None:
    """Path of the element to delete (if found)."""
    expected = {n: v for n, v in {**PATIENT, **left}.items() if v is not None}
    assert patched(PATIENT, op("delete", path)) == expected


def test_delete_takes_one_alone() -> None:
    """Only a single element can be deleted."""
    with pytest.raises(Unprocessable, match="selects 2"):
        patched(PATIENT, op("delete", "Patient.name"))
    with pytest.raises(Unprocessable, match="whole resource"):
        patched(PATIENT, op("delete", "Patient"))


def test_replace_puts_another_value_in_place() -> None:
    born = op("replace", "Patient.birthDate", value={"valueDate": "1980-01-01"})
    assert patched(PATIENT, born)["birthDate"] == "1980-01-01"
    name = op("replace", "Patient.name[1]", value={"valueHumanName": {"text": "x"}})
    assert patched(PATIENT, name)["name"][1] == {"text": "x"}
    given = op("replace", "Patient.name[0].given[1]", value={"valueString": "Minh"})
    assert patched(PATIENT, given)["name"][0]["given"] == ["Thị", "Minh"]


def test_replace_may_change_the_type_of_a_choice() -> None:
    died = op("replace", "Patient.deceased", value={"valueDateTime": "2020-01-01"})
    found = patched(PATIENT, died)
    assert found["deceasedDateTime"] == "2020-01-01"
    assert "deceasedBoolean" not in found


def test_replace_wants_what_is_there() -> None:
    with pytest.raises(Unprocessable, match="selects 0"):
        patched(PATIENT, op("replace", "Patient.gender", value={"valueCode": "male"}))


@pytest.mark.parametrize(
    ("source", "destination", "expected"), [(0, 2, "bca"), (2, 0, "cab"), (1, 1, "abc")]
)
def test_move_takes_an_element_along_its_list(source: int, destination: int, expected: str) -> None:
    """Move an element within a single list."""
    resource = {"resourceType": "Patient", "name": [{"text": text} for text in "abc"]}
    moved = patched(resource, op("move", "Patient.name", source=source, destination=destination))
    assert "".join(name["text"] for name in moved["name"]) == expected
    with pytest.raises(Unprocessable, match="none at that index"):
        patched(resource, op("move", "Patient.name", source=0, destination=3))


def test_what_stands_beside_a_primitive_goes_with_it() -> None:
    """https://hl7.org/fhir/R4/json.html#primitive"""
    note = {"extension": [{"url": "http://x.org/a", "valueString": "b"}]}
    resource = {
        "resourceType": "Patient",
        "name": [{"given": ["a", "b"], "_given": [None, note]}],
        "birthDate": "1974",
        "_birthDate": note,
    }
    moved = patched(resource, op("move", "Patient.name.given", source=1, destination=0))
    assert moved["name"][0] == {"given": ["b", "a"], "_given": [note, None]}
    added = op("add", "Patient.name", name="given", value={"valueString": "c"})
    assert patched(resource, added)["name"][0]["_given"] == [None, note, None]
    deleted = patched(resource, op("delete", "Patient.birthDate"))
    assert "_birthDate" not in deleted


def test_operations_follow_each_other() -> None:
    found = patched(
        PATIENT,
        op("delete", "Patient.name[0]"),
        op("replace", "Patient.name[0].text", value={"valueString": "x"}),
    )
    assert found["name"] == [{"use": "usual", "text": "x"}]


def test_decimals_keep_their_digits() -> None:
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    value = {"valueQuantity": {"value": Decimal("107.50")}}
    found = patched(resource, op("add", "Observation", name="value", value=value))
    assert str(found["valueQuantity"]["value"]) == "107.50"


@pytest.mark.parametrize(
    "path",
    [
        "Patient.generalPractitioner.resolve()",
        "Patient.name | Patient.contact",
        "Patient.nothing",
        "Observation.status",
        "Patient.name.where(",
        "Patient.name.given.upper()",
        "1",
        "%resource",
    ],
)
def test_a_path_that_is_no_walk_through_the_resource_is_refused(path: str) -> None:
    """The statement must return elements of the resource that is being modified."""
    with pytest.raises(Unprocessable):
        patched(PATIENT, op("delete", path))


@pytest.mark.parametrize(
    "parameters",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [3]},
        {"resourceType": "Parameters", "parameter": [{"name": "other", "part": []}]},
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": []}]},
    ],
)
def test_what_is_no_patch_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        fhirpath_patch(parameters)


def test_a_patch_has_so_many_operations_at_most() -> None:
    with pytest.raises(TooLarge):
        patched(PATIENT, *([op("delete", "Patient.gender")] * (OPERATIONS_MAX + 1)))
