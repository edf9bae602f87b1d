"""Profiles from differentials of our own, one rule of profiling at a time.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from typing import Any

import pytest

from ehr_server.definitions.profile import (
    Binding,
    Context,
    Discriminator,
    Node,
    Slicing,
    TypeChoice,
)
from ehr_server.definitions.snapshot import APPLIES_WHEN, narrowed_profile
from profiling import BASE, BY_SYSTEM, OWN, definition, derived, made, nodes, profiles

BY_URL = Slicing((Discriminator("value", "url"),), False, "open")


# What a profile is made of.


def test_only_what_is_narrowed_is_in_the_tree() -> None:
    found = nodes(
        made(
            {"id": "Patient", "min": 0, "max": "1"},
            {"id": "Patient.gender", "min": 1, "max": "1", "type": [{"code": "code"}]},
            {"id": "Patient.name", "min": 0, "max": "*", "mustSupport": True},
            {"id": "Patient.photo", "max": "0"},
        )
    )
    assert set(found) == {"Patient", "Patient.gender", "Patient.photo"}
    assert found["Patient"].max is None
    assert found["Patient.gender"] == Node("Patient.gender", "Patient.gender", min=1)
    assert found["Patient.photo"].max == 0


def test_what_is_said_of_a_profile() -> None:
    applies = {"url": APPLIES_WHEN, "valueString": "active"}
    one = definition({"id": "Patient.name", "min": 1}, version="2", extension=[applies])
    two = definition({"id": "Patient.name", "max": "2"}, name="two", baseDefinition=OWN + "one|2")
    catalog = profiles(one, two)
    first, second = catalog.find(OWN + "one"), catalog.find(OWN + "two")
    assert first is not None
    assert second is not None
    assert (first.url, first.version, first.type) == (OWN + "one", "2", "Patient")
    assert (first.applies, second.applies) == ("active", None)
    assert (first.parents, second.parents) == ((), (OWN + "one",))
    assert (nodes(second)["Patient.name"].min, nodes(second)["Patient.name"].max) == (1, 2)
    assert catalog.find(OWN + "two") is second


def test_what_is_no_profile() -> None:
    logical = definition({"id": "Patient"}, kind="logical")
    special = definition({"id": "Patient"}, name="two", derivation="specialization")
    catalog = profiles(logical, special)
    assert catalog.find(OWN + "one") is None
    assert catalog.find(OWN + "two") is None
    assert catalog.find(OWN + "none") is None
    assert catalog.find(BASE + "Patient") is None


def test_an_extension_definition() -> None:
    profile = made(
        {"id": "Extension", "max": "1", "isModifier": True},
        {"id": "Extension.url", "fixedUri": OWN + "one"},
        {"id": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
        type_="Extension",
        context=[{"type": "element", "expression": "Patient"}],
    )
    found = nodes(profile)
    assert profile.contexts == (Context("element", "Patient"),)
    assert profile.is_modifier
    assert found["Extension"].max == 1
    assert found["Extension.url"].fixed == OWN + "one"
    assert found["Extension.value[x]"].types == (TypeChoice("string"),)


# Slices.


def test_slices_by_id() -> None:
    """https://hl7.org/fhir/R4/elementdefinition.html#id"""
    found = nodes(
        made(
            {"id": "Patient.identifier", "slicing": BY_SYSTEM, "min": 1},
            {"id": "Patient.identifier:cccd", "sliceName": "cccd", "max": "1"},
            {"id": "Patient.identifier:cccd.system", "min": 1, "fixedUri": "http://a"},
        )
    )
    identifier = found["Patient.identifier"]
    assert identifier.slicing == Slicing((Discriminator("value", "system"),), False, "open")
    assert list(identifier.slices) == ["cccd"]
    assert identifier.slices["cccd"].max == 1
    system = identifier.slices["cccd"].children["system"]
    assert (system.id, system.path) == (
        "Patient.identifier:cccd.system",
        "Patient.identifier.system",
    )


def test_slices_by_path_and_slice_name() -> None:
    """Differentials of old have no ids: an element is of the slice that stands before it."""
    elements = [
        {"path": "Patient.identifier", "slicing": BY_SYSTEM},
        {"path": "Patient.identifier", "sliceName": "a"},
        {"path": "Patient.identifier.system", "fixedUri": "http://a"},
        {"path": "Patient.identifier", "sliceName": "b"},
        {"path": "Patient.identifier.system", "fixedUri": "http://b"},
        {"path": "Patient.name", "min": 1},
    ]
    found = nodes(made(*elements))
    assert found["Patient.identifier:a.system"].fixed == "http://a"
    assert found["Patient.identifier:b.system"].fixed == "http://b"
    assert found["Patient.name"].min == 1


def test_slices_of_slices() -> None:
    """https://hl7.org/fhir/R4/profiling.html#reslicing"""
    by_use = {"discriminator": [{"type": "value", "path": "use"}], "rules": "closed"}
    found = nodes(
        made(
            {"id": "Patient.identifier", "slicing": BY_SYSTEM},
            {"id": "Patient.identifier:a", "sliceName": "a", "slicing": by_use},
            {"id": "Patient.identifier:a/b", "sliceName": "a/b", "min": 1},
            {"id": "Patient.identifier:a/b.use", "fixedCode": "usual"},
        )
    )
    inner = found["Patient.identifier:a"].slices["a/b"]
    assert (inner.id, inner.min) == ("Patient.identifier:a/b", 1)
    assert inner.children["use"].fixed == "usual"


def test_extensions_are_sliced_by_url() -> None:
    typed = [{"code": "Extension", "profile": [OWN + "x"]}]
    found = nodes(
        made(
            {"id": "Patient.extension:x", "sliceName": "x", "min": 1, "type": typed},
            {"id": "Patient.address.extension:y", "sliceName": "y", "type": typed},
            {"id": "Patient.extension:x.extension:z", "sliceName": "z", "min": 1},
            {"id": "Patient.extension:x.extension:z.url", "fixedUri": "z"},
        )
    )
    assert found["Patient.extension"].slicing == BY_URL
    assert found["Patient.extension:x"].types == (TypeChoice("Extension", (OWN + "x",)),)
    assert found["Patient.address.extension:y"].path == "Patient.address.extension"
    assert found["Patient.extension:x.extension:z.url"].fixed == "z"


def test_a_profile_adds_slices_to_those_it_derives_from() -> None:
    one = definition(
        {"id": "Patient.identifier", "slicing": BY_SYSTEM},
        {"id": "Patient.identifier:a", "sliceName": "a", "max": "3"},
    )
    two = definition(
        {"id": "Patient.identifier", "slicing": {**BY_SYSTEM, "rules": "closed"}},
        {"id": "Patient.identifier:a", "sliceName": "a", "max": "1"},
        {"id": "Patient.identifier:b", "sliceName": "b"},
    )
    found = derived(one, two)
    assert list(found["Patient.identifier"].slices) == ["a", "b"]
    assert found["Patient.identifier:a"].max == 1
    slicing = found["Patient.identifier"].slicing
    assert slicing is not None
    assert slicing.rules == "closed"


def test_a_slice_by_the_slicing_of_a_data_types_profile() -> None:
    coding = definition(
        {"id": "CodeableConcept.coding", "slicing": BY_SYSTEM},
        {"id": "CodeableConcept.coding:a", "sliceName": "a", "min": 1},
        type_="CodeableConcept",
        kind="complex-type",
        name="concept",
    )
    typed = [{"code": "CodeableConcept", "profile": [OWN + "concept"]}]
    patient = definition(
        {"id": "Patient.maritalStatus", "type": typed},
        {"id": "Patient.maritalStatus.coding:a", "sliceName": "a"},
        {"id": "Patient.maritalStatus.coding:a.system", "fixedUri": "http://a"},
    )
    profile = profiles(coding, patient).find(OWN + "one")
    assert profile is not None
    found = nodes(profile)
    assert found["Patient.maritalStatus.coding"].slicing is not None
    assert found["Patient.maritalStatus.coding:a.system"].fixed == "http://a"


def test_a_name_of_what_cannot_repeat_is_no_slice() -> None:
    found = nodes(made({"id": "Patient.gender:sex", "sliceName": "sex", "min": 1}))
    assert found["Patient.gender"].min == 1
    assert not found["Patient.gender"].slices


# Choices.


def test_a_choice_with_one_type_left() -> None:
    found = nodes(
        made(
            {"id": "Observation.value[x]", "type": [{"code": "Quantity"}]},
            {"id": "Observation.value[x].unit", "min": 1},
            type_="Observation",
        )
    )
    assert found["Observation"].children["value"].types == (TypeChoice("Quantity"),)
    assert found["Observation.value[x].unit"].min == 1


def test_a_short_path_leaves_one_type() -> None:
    """The snapshots of R4 (such as that of `bodyweight`) close the slicing for `valueQuantity`."""
    found = nodes(
        made(
            {"id": "Observation.valueQuantity", "min": 1},
            {"id": "Observation.valueQuantity.unit", "min": 1},
            type_="Observation",
        )
    )
    value = found["Observation.value[x]"]
    assert value.types == (TypeChoice("Quantity"),)
    assert value.slicing == Slicing((Discriminator("type", "$this"),), False, "closed")
    assert value.slices["valueQuantity"].min == 1
    assert value.slices["valueQuantity"].types == (TypeChoice("Quantity"),)
    assert found["Observation.value[x]:valueQuantity.unit"].min == 1


def test_short_paths_of_two_types_leave_both() -> None:
    found = nodes(
        made(
            {"id": "Observation.valueQuantity"},
            {"id": "Observation.valueString"},
            type_="Observation",
        )
    )
    value = found["Observation.value[x]"]
    assert {choice.code for choice in value.types} == {"Quantity", "string"}
    assert list(value.slices) == ["valueQuantity", "valueString"]


@pytest.mark.parametrize("id_", ["Observation.valueQuantity", "Observation.value[x]:valueQuantity"])
def test_a_slice_of_a_choice_is_one_however_it_is_written(id_: str) -> None:
    one = definition(
        {"id": "Observation.value[x]:valueQuantity", "sliceName": "valueQuantity", "max": "1"},
        type_="Observation",
    )
    two = definition({"id": f"{id_}.unit", "min": 1}, type_="Observation")
    found = derived(one, two)
    value = found["Observation.value[x]"]
    assert value.slices["valueQuantity"].children["unit"].min == 1
    assert value.slicing == Slicing((Discriminator("type", "$this"),), False, "open")
    assert value.types == ()


# Ways through types.


def test_elements_defined_elsewhere() -> None:
    """contentReference: https://hl7.org/fhir/R4/elementdefinition.html#contentReference"""
    found = nodes(
        made({"id": "Observation.component.referenceRange.low", "min": 1}, type_="Observation")
    )
    assert found["Observation.component.referenceRange.low"].min == 1
    section = {"id": "Composition.section.section.section.title", "min": 1}
    assert section["id"] in nodes(made(section, type_="Composition"))
    link = {"id": "Bundle.entry.link.relation", "fixedString": "self"}
    assert link["id"] in nodes(made(link, type_="Bundle"))


def test_through_a_resource() -> None:
    entry = {"discriminator": [{"type": "type", "path": "resource"}], "rules": "open"}
    typed = [{"code": "Composition", "profile": [OWN + "c"]}]
    found = nodes(
        made(
            {"id": "Bundle.entry", "slicing": entry},
            {"id": "Bundle.entry:c", "sliceName": "c", "min": 1},
            {"id": "Bundle.entry:c.resource", "type": typed},
            {"id": "Bundle.entry:c.resource.title", "max": "1"},
            {"id": "Bundle.entry:c.resource.language", "min": 1},
            type_="Bundle",
        )
    )
    assert found["Bundle.entry:c.resource"].types == (TypeChoice("Composition", (OWN + "c",)),)
    assert found["Bundle.entry:c.resource.language"].min == 1


# Facets.


def test_values_and_limits() -> None:
    pattern = {"coding": [{"system": "http://a"}]}
    found = nodes(
        made(
            {"id": "Observation.code", "patternCodeableConcept": pattern},
            {"id": "Observation.status", "fixedCode": "final"},
            {"id": "Observation.valueInteger", "minValueInteger": 0, "maxValueInteger": 9},
            {"id": "Observation.method.text", "maxLength": 20},
            type_="Observation",
        )
    )
    assert found["Observation.code"].pattern == pattern
    assert found["Observation.status"].fixed == "final"
    value = found["Observation.value[x]:valueInteger"]
    assert (value.least, value.most) == (0, 9)
    assert found["Observation.method.text"].length_max == 20


def test_limits_and_patterns_add_up() -> None:
    one = definition(
        {
            "id": "Observation.code",
            "patternCodeableConcept": {"coding": [{"system": "http://a"}]},
        },
        {"id": "Observation.method.text", "maxLength": 20},
        type_="Observation",
    )
    two = definition(
        {
            "id": "Observation.code",
            "patternCodeableConcept": {"coding": [{"code": "b"}], "text": "c"},
        },
        {"id": "Observation.method.text", "maxLength": 30},
        type_="Observation",
    )
    found = derived(one, two)
    pattern = found["Observation.code"].pattern
    assert pattern == {"coding": [{"code": "b"}, {"system": "http://a"}], "text": "c"}
    assert found["Observation.method.text"].length_max == 20


def test_bindings() -> None:
    def bound(strength: str, value_set: str) -> dict[str, Any]:
        return {"strength": strength, "valueSet": value_set}

    gender = "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"
    one = definition(
        {"id": "Patient.maritalStatus", "binding": bound("required", "http://a")},
        {"id": "Patient.language", "binding": bound("preferred", "http://a")},
        {"id": "Patient.gender", "binding": bound("required", gender)},
        {"id": "Patient.contact.relationship", "binding": bound("extensible", "http://b|1")},
    )
    found = nodes(narrowed_profile(one, None))
    assert found["Patient.maritalStatus"].binding == Binding("required", "http://a")
    assert found["Patient.contact.relationship"].binding == Binding("extensible", "http://b|1")
    assert not {"Patient.language", "Patient.gender"} & found.keys()
    weaker = definition({"id": "Patient.maritalStatus", "binding": bound("extensible", "http://c")})
    assert derived(one, weaker)["Patient.maritalStatus"].binding == Binding("required", "http://a")


def test_targets() -> None:
    canonical = f"{BASE}Organization|4.0.1"
    found = nodes(
        made(
            {
                "id": "Patient.managingOrganization",
                "type": [{"code": "Reference", "targetProfile": [canonical]}],
            },
            {
                "id": "Patient.generalPractitioner",
                "type": [{"code": "Reference", "targetProfile": [OWN + "p|1", canonical]}],
            },
        )
    )
    assert "Patient.managingOrganization" not in found  # as in the type
    assert found["Patient.generalPractitioner"].types == (
        TypeChoice("Reference", (), (OWN + "p|1", f"{BASE}Organization")),
    )


def test_constraints() -> None:
    """Those of the types are checked for every resource: they are not the profile's."""
    vi = [{"url": "lang", "valueCode": "vi"}, {"url": "content", "valueString": "Cần tên."}]
    said = [
        {"key": "a-1", "severity": "error", "human": "A name.", "expression": "name.exists()"},
        {"key": "a-2", "severity": "warning", "expression": "true"},
        {"key": "a-3", "severity": "error"},
        {"key": "dom-2", "severity": "error", "expression": "true"},
        {"key": "b", "severity": "error", "expression": "true", "source": BASE + "Element"},
    ]
    said[0]["_human"] = {"extension": [{"url": f"{BASE}translation", "extension": vi}]}
    found = nodes(made({"id": "Patient", "constraint": said}))
    assert [tuple(one) for one in found["Patient"].constraints] == [
        ("a-1", "error", "name.exists()", "A name.", "Cần tên."),
        ("a-2", "warning", "true", "", ""),
    ]


def test_an_extension_that_holds_itself() -> None:
    """It is one by its url, so that it need not be made to make itself."""
    nested = [{"code": "Extension", "profile": [OWN + "one"]}]
    one = definition(
        {"id": "Extension.extension:x", "sliceName": "x", "type": nested},
        {"id": "Extension.extension:x.value[x]", "max": "0"},
        type_="Extension",
        kind="complex-type",
    )
    profile = profiles(one).find(OWN + "one")
    assert profile is not None
    assert nodes(profile)["Extension.extension:x"].types[0].profiles == (OWN + "one",)
