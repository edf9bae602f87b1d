"""Profiles that cannot be made: each error names the profile, the element and what is wrong.

https://hl7.org/fhir/R4/profiling.html#constrain
"""

from __future__ import annotations

from typing import Any

import pytest

from ehr_server.definitions import ProfileError
from profiling import BASE, BY_SYSTEM, OWN, definition, derived, profiles

SLICED = {"id": "Patient.identifier", "slicing": BY_SYSTEM}
CODE = "Observation.code"
BAD: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "no element of the type": ("Patient", [{"id": "Patient.nome"}], "Patient has no element nome"),
    "no element of the choice": (
        "Observation",
        [{"id": "Observation.value[x].unit"}],
        "has no element unit",
    ),
    "another type": ("Patient", [{"id": "Person.name"}], "does not begin with the type"),
    "min over max": ("Patient", [{"id": "Patient.name", "min": 3, "max": "2"}], "min 3 is above"),
    "forbidden but required": (
        "Observation",
        [{"id": CODE, "max": "0"}],
        "min 1 is above max 0",
    ),
    "min is no number": ("Patient", [{"id": "Patient.name", "min": "1"}], "no number"),
    "max is no number": ("Patient", [{"id": "Patient.name", "max": "many"}], "no number"),
    "type": (
        "Observation",
        [{"id": "Observation.value[x]", "type": [{"code": "Address"}]}],
        "the type Address is none of Quantity,",
    ),
    "type of a short path": (
        "Observation",
        [
            {"id": "Observation.value[x]", "type": [{"code": "string"}]},
            {"id": "Observation.valueQuantity"},
        ],
        "the type Quantity is none of string",
    ),
    "fixed type": ("Patient", [{"id": "Patient.gender", "fixedBoolean": True}], "type boolean"),
    "type there is not": ("Patient", [{"id": "Patient.gender", "fixedCodex": "a"}], "no type"),
    "fixed against pattern": (
        "Patient",
        [{"id": "Patient.gender", "fixedCode": "male", "patternCode": "female"}],
        "contradict",
    ),
    "no slicing": ("Patient", [{"id": "Patient.name:a", "sliceName": "a"}], "told apart"),
    "slice twice": (
        "Patient",
        [
            SLICED,
            {"id": "Patient.identifier:a", "sliceName": "a"},
            {"id": "Patient.identifier:a", "sliceName": "a"},
        ],
        "a second slice",
    ),
    "more than the list": (
        "Patient",
        [
            {**SLICED, "max": "1"},
            {"id": "Patient.identifier:a", "sliceName": "a", "min": 2},
        ],
        "min 2 is above max 1",
    ),
    "discriminator": (
        "Patient",
        [
            {
                "id": "Patient.identifier",
                "slicing": {"discriminator": [{"type": "position", "path": "$this"}]},
            }
        ],
        "position",
    ),
}


@pytest.mark.parametrize(("type_", "elements", "text"), BAD.values(), ids=BAD)
def test_what_contradicts_the_type(type_: str, elements: list[dict[str, Any]], text: str) -> None:
    one = definition(*elements, type_=type_)
    with pytest.raises(ProfileError) as raised:
        profiles(one).find(OWN + "one")
    assert str(raised.value).startswith(f"{OWN}one: {elements[-1]['id']}: ")
    assert text in str(raised.value)
    assert raised.value.vi.startswith(f"{OWN}one: {elements[-1]['id']}: ")


@pytest.mark.parametrize(
    ("parent", "child", "text"),
    [
        ({"min": 2}, {"min": 1}, "min 1 is below the 2"),
        ({"max": "2"}, {"max": "3"}, "max 3 is above the 2"),
        ({"max": "2"}, {"max": "*"}, "max * is above the 2"),
        ({"max": "2"}, {"min": 3}, "min 3 is above max 2"),
    ],
)
def test_what_widens_the_profile_it_derives_from(
    parent: dict[str, Any], child: dict[str, Any], text: str
) -> None:
    with pytest.raises(ProfileError, match=f"Patient.name: {text}".replace("*", r"\*")):
        derived(
            definition({"id": "Patient.name", **parent}),
            definition({"id": "Patient.name", **child}),
        )


@pytest.mark.parametrize(
    ("parent", "child", "text"),
    [
        ({"fixedCode": "male"}, {"fixedCode": "female"}, "another value is fixed"),
        ({"patternCode": "male"}, {"fixedCode": "female"}, "contradict"),
        ({"fixedCode": "male"}, {"patternCode": "female"}, "contradict"),
        ({"patternCode": "male"}, {"patternCode": "female"}, "contradict"),
    ],
)
def test_what_contradicts_the_profile_it_derives_from(
    parent: dict[str, Any], child: dict[str, Any], text: str
) -> None:
    with pytest.raises(ProfileError, match=f"Patient.gender: .*{text}"):
        derived(
            definition({"id": "Patient.gender", **parent}),
            definition({"id": "Patient.gender", **child}),
        )


def test_a_type_that_the_parent_does_not_allow() -> None:
    one = {"id": "Observation.value[x]", "type": [{"code": "string"}]}
    two = {"id": "Observation.value[x]", "type": [{"code": "Quantity"}]}
    with pytest.raises(ProfileError, match=r"value\[x\]: the type Quantity is none of string"):
        derived(definition(one, type_="Observation"), definition(two, type_="Observation"))


def test_profiles_that_derive_from_each_other() -> None:
    one = definition({"id": "Patient"}, baseDefinition=OWN + "two")
    two = definition({"id": "Patient"}, name="two", baseDefinition=OWN + "one")
    catalog = profiles(one, two)
    for _ in range(2):
        with pytest.raises(ProfileError, match="baseDefinition: it derives from itself"):
            catalog.find(OWN + "one")


@pytest.mark.parametrize("base", [OWN + "none", "", BASE + "Person", BASE + "DomainResource"])
def test_a_base_that_is_not_there(base: str) -> None:
    one = definition({"id": "Patient"}, baseDefinition=base)
    with pytest.raises(ProfileError, match=f"{OWN}one: baseDefinition: "):
        profiles(one).find(OWN + "one")


def test_a_base_of_another_type() -> None:
    one = definition({"id": "Person"}, type_="Person")
    two = definition({"id": "Patient"}, name="two", baseDefinition=OWN + "one")
    with pytest.raises(ProfileError, match=f"{OWN}two: Patient: .*Person"):
        profiles(one, two).find(OWN + "two")


def test_no_differential() -> None:
    with pytest.raises(ProfileError, match=f"{OWN}one: it has no differential"):
        profiles(definition()).find(OWN + "one")
