"""What a profile may ask, one way of narrowing at a time: https://hl7.org/fhir/R4/profiling.html.

Each case holds small resources to a small profile and names all findings: place and rule. The
quick look and the full one are asked both.
"""

from typing import Any

import pytest

from ehr_server.definitions import ProfileError
from ehr_server.definitions.catalog import artifact, shipped
from ehr_server.fhir import json
from ehr_server.validation.policy import Policy
from ehr_server.validation.rulebook import Rulebook
from profiling import BASE, OWN, definition

Resource = dict[str, Any]
Found = set[tuple[str, str]]

_FINAL = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def _rulebook(*definitions: Resource, **policy: Any) -> Rulebook:
    catalog = shipped().plus("test#1", [artifact(one, "test#1") for one in definitions])
    return Rulebook(catalog, Policy(**({"profiles": {"*": "off"}} | policy)))


def _found(resource: Resource, *definitions: Resource, url: str = OWN + "one") -> Found:
    """The findings of a resource by the profile; that the quick look agrees is asserted."""
    rulebook = _rulebook(*definitions)
    value = json.read(json.write(resource))
    issues = rulebook.check(value, profiles=(url,))
    claiming = _rulebook(*definitions, profiles={"*": "off", url: "reject"})
    value["meta"] = {"profile": [url]}
    assert claiming.check(value) == issues
    return {(issue.expression[0], issue.rule) for issue in issues}


def _observation(**more: Any) -> Resource:
    return _FINAL | more


def _profile(*elements: Resource, type_: str = "Observation", **more: Any) -> Resource:
    return definition(*elements, type_=type_, **more)


def _coded(code: str, system: str = _LOINC) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({}, {("Patient.name", "min")}),
        ({"name": [{"text": "a"}]}, set()),
        ({"name": [{"text": "a"}] * 3}, {("Patient.name", "max")}),
        ({"name": [{"text": "a"}], "photo": [{"url": "u"}]}, {("Patient.photo", "max")}),
    ],
)
def test_cardinality(resource: Resource, found: Found) -> None:
    """Elements can be made mandatory, limited or left out: profiling.html#cardinality."""
    profile = definition(
        {"id": "Patient.name", "min": 1, "max": "2"},
        {"id": "Patient.photo", "max": "0"},
    )
    assert _found({"resourceType": "Patient"} | resource, profile) == found


def test_a_primitive_with_extensions_alone_is_there() -> None:
    """A `_birthDate` counts as an element: json.html#primitive."""
    profile = definition({"id": "Patient.birthDate", "min": 1})
    absent = {"extension": [{"url": "http://x.org/why", "valueCode": "unknown"}]}
    assert _found({"resourceType": "Patient", "_birthDate": absent}, profile) == set()
    assert _found({"resourceType": "Patient"}, profile) == {("Patient.birthDate", "min")}


@pytest.mark.parametrize(
    ("facet", "value", "found"),
    [
        ({"fixedCode": "final"}, "final", set()),
        ({"fixedCode": "amended"}, "final", {("Observation.status", "fixed")}),
        ({"patternCode": "amended"}, "final", {("Observation.status", "pattern")}),
        ({"maxLength": 4}, "final", {("Observation.status", "length")}),
    ],
)
def test_values_of_a_primitive(facet: Resource, value: str, found: Found) -> None:
    """elementdefinition-definitions.html#ElementDefinition.fixed_x_ and its neighbours."""
    profile = _profile({"id": "Observation.status", **facet})
    assert _found(_observation(status=value), profile) == found


def test_a_fixed_value_is_all_there_is_and_a_pattern_the_least() -> None:
    """`fixed` SHALL be exactly the value, `pattern` allows more: ElementDefinition.pattern[x]."""
    exactly = _profile({"id": "Observation.code", "fixedCodeableConcept": _coded("1-8")})
    least = _profile({"id": "Observation.code", "patternCodeableConcept": _coded("1-8")})
    more = {"coding": [{"system": _LOINC, "code": "1-8", "display": "x"}], "text": "y"}
    assert _found(_observation(code=_coded("1-8")), exactly) == set()
    assert _found(_observation(code=more), exactly) == {("Observation.code", "fixed")}
    assert _found(_observation(code=more), least) == set()
    assert _found(_observation(code=_coded("2-6")), least) == {("Observation.code", "pattern")}


def test_a_pattern_of_an_amount_compares_amounts() -> None:
    """1.0 and 1.00 are one value, however precise: datatypes.html#decimal."""
    profile = _profile(
        {"id": "Observation.value[x]", "type": [{"code": "Quantity"}]},
        {"id": "Observation.value[x].value", "patternDecimal": 1.0},
    )
    assert _found(_observation(valueQuantity={"value": 1.00, "unit": "x"}), profile) == set()
    other = _observation(valueQuantity={"value": 2, "unit": "x"})
    assert _found(other, profile) == {("Observation.value.value", "pattern")}


@pytest.mark.parametrize(
    ("value", "found"),
    [("2026-01-01", set()), ("2025-12-31", {"value"}), ("2026", set()), ("2027", {"value"})],
)
def test_bounds(value: str, found: set[str]) -> None:
    """minValue and maxValue; what is not precise enough to say passes."""
    profile = definition(
        {"id": "Patient.birthDate", "minValueDate": "2026-01-01", "maxValueDate": "2026-12-31"}
    )
    issues = _found({"resourceType": "Patient", "birthDate": value}, profile)
    assert issues == {("Patient.birthDate", rule) for rule in found}


def test_types_of_a_choice() -> None:
    """The types of a choice can be limited: profiling.html#cardinality."""
    profile = _profile({"id": "Observation.value[x]", "type": [{"code": "Quantity"}]})
    assert _found(_observation(valueQuantity={"value": 1}), profile) == set()
    assert _found(_observation(valueString="1"), profile) == {("Observation.value", "type")}


def test_bindings() -> None:
    """Required: one of its codes; extensible: a warning where none is; terminologies.html."""
    values = {
        "resourceType": "ValueSet",
        "url": OWN + "set",
        "status": "active",
        "compose": {"include": [{"system": "http://x.org/cs", "concept": [{"code": "a"}]}]},
    }
    for strength, severity in (("required", "error"), ("extensible", "warning")):
        bound = {"strength": strength, "valueSet": OWN + "set"}
        profile = _profile({"id": "Observation.code", "binding": bound})
        rulebook = _rulebook(profile, values)
        good = _observation(code=_coded("a", "http://x.org/cs"))
        assert rulebook.check(good, profiles=(OWN + "one",)) == []
        (issue,) = rulebook.check(
            _observation(code=_coded("b", "http://x.org/cs")), profiles=(OWN + "one",)
        )
        assert (issue.severity, issue.rule, issue.expression) == (
            severity,
            "binding",
            ("Observation.code",),
        )


_SLICED = {"rules": "open", "discriminator": [{"type": "value", "path": "system"}]}


@pytest.mark.parametrize(
    ("rules", "systems", "found"),
    [
        ({}, ["a"], set()),
        ({}, ["b"], {("Patient.identifier", "slice")}),
        ({}, ["a", "a", "b"], {("Patient.identifier", "slice")}),
        ({}, ["x", "a", "b"], set()),
        ({"rules": "closed"}, ["a", "x"], {("Patient.identifier[1]", "slice")}),
        ({"rules": "openAtEnd"}, ["a", "x"], set()),
        ({"rules": "openAtEnd"}, ["x", "a"], {("Patient.identifier[1]", "slice")}),
        ({"ordered": True}, ["b", "a"], {("Patient.identifier[1]", "slice")}),
        ({"ordered": True}, ["a", "b"], set()),
    ],
)
def test_slicing(rules: Resource, systems: list[str], found: Found) -> None:
    """profiling.html#slicing: rules of the slicing, cardinality of the slices."""
    profile = definition(
        {"id": "Patient.identifier", "slicing": _SLICED | rules},
        {"id": "Patient.identifier:a", "sliceName": "a", "min": 1, "max": "1"},
        {"id": "Patient.identifier:a.system", "min": 1, "fixedUri": "urn:a"},
        {"id": "Patient.identifier:b", "sliceName": "b"},
        {"id": "Patient.identifier:b.system", "min": 1, "fixedUri": "urn:b"},
    )
    identifiers = [{"system": f"urn:{one}", "value": "1"} for one in systems]
    assert _found({"resourceType": "Patient", "identifier": identifiers}, profile) == found


def test_a_slice_asks_of_its_own_values_alone() -> None:
    profile = definition(
        {"id": "Patient.identifier", "slicing": _SLICED},
        {"id": "Patient.identifier:a", "sliceName": "a"},
        {"id": "Patient.identifier:a.system", "min": 1, "fixedUri": "urn:a"},
        {"id": "Patient.identifier:a.value", "min": 1},
    )
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:b"}, {"system": "urn:a"}]}
    assert _found(patient, profile) == {("Patient.identifier[1].value", "min")}


def test_slices_by_pattern_and_by_what_lies_below() -> None:
    """A discriminator may lead to what a pattern fixes: profiling.html#discriminator."""
    sliced = {"rules": "open", "discriminator": [{"type": "pattern", "path": "code"}]}
    profile = _profile(
        {"id": "Observation.component", "slicing": sliced},
        {"id": "Observation.component:s", "sliceName": "s", "min": 1, "max": "1"},
        {"id": "Observation.component:s.code", "patternCodeableConcept": _coded("8480-6")},
        {"id": "Observation.component:s.value[x]", "min": 1, "type": [{"code": "Quantity"}]},
    )
    good = {"code": _coded("8480-6"), "valueQuantity": {"value": 120}}
    other = {"code": _coded("8462-4"), "valueString": "x"}
    assert _found(_observation(component=[other, good]), profile) == set()
    assert _found(_observation(component=[other]), profile) == {("Observation.component", "slice")}
    bad = [{"code": _coded("8480-6"), "valueString": "x"}]
    assert _found(_observation(component=bad), profile) == {
        ("Observation.component[0].value", "type")
    }


def test_slices_by_existence() -> None:
    """`exists`: the element is there, or it is not: profiling.html#discriminator."""
    sliced = {"rules": "closed", "discriminator": [{"type": "exists", "path": "value"}]}
    profile = definition(
        {"id": "Patient.identifier", "slicing": sliced},
        {"id": "Patient.identifier:full", "sliceName": "full", "max": "1"},
        {"id": "Patient.identifier:full.value", "min": 1},
        {"id": "Patient.identifier:none", "sliceName": "none", "max": "1"},
        {"id": "Patient.identifier:none.value", "max": "0"},
    )
    full, none = {"system": "urn:a", "value": "1"}, {"system": "urn:a"}
    assert _found({"resourceType": "Patient", "identifier": [full, none]}, profile) == set()
    twice = {"resourceType": "Patient", "identifier": [none, none]}
    assert _found(twice, profile) == {("Patient.identifier", "slice")}


def test_slices_by_type() -> None:
    """The types of a choice: valueQuantity is a slice of value[x]: profiling.html#slicing."""
    profile = _profile(
        {
            "id": "Observation.value[x]",
            "slicing": {"rules": "open", "discriminator": [{"type": "type", "path": "$this"}]},
        },
        {
            "id": "Observation.value[x]:valueQuantity",
            "sliceName": "valueQuantity",
            "type": [{"code": "Quantity"}],
        },
        {"id": "Observation.value[x]:valueQuantity.code", "min": 1},
    )
    assert _found(_observation(valueString="x"), profile) == set()
    assert _found(_observation(valueQuantity={"value": 1}), profile) == {
        ("Observation.value.code", "min")
    }


def test_slices_of_slices() -> None:
    """Reslicing: the name of the first, a slash, its own: profiling.html#reslicing."""
    profile = definition(
        {"id": "Patient.identifier", "slicing": _SLICED},
        {
            "id": "Patient.identifier:a",
            "sliceName": "a",
            "max": "2",
            "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "use"}]},
        },
        {"id": "Patient.identifier:a.system", "min": 1, "fixedUri": "urn:a"},
        {"id": "Patient.identifier:a/old", "sliceName": "a/old", "max": "1"},
        {"id": "Patient.identifier:a/old.use", "min": 1, "fixedCode": "old"},
    )
    old, new = ({"system": "urn:a", "value": "1", "use": use} for use in ("old", "official"))
    assert _found({"resourceType": "Patient", "identifier": [old, new]}, profile) == set()
    twice = {"resourceType": "Patient", "identifier": [old, old]}
    assert _found(twice, profile) == {("Patient.identifier", "slice")}


def _bundle(*resources: Resource) -> Resource:
    entries = [
        {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{at}", "resource": one}
        for at, one in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _linked(at: int) -> Resource:
    return {"reference": f"urn:uuid:00000000-0000-4000-8000-00000000000{at}"}


def test_slices_by_the_profile_of_what_is_referred_to() -> None:
    """`profile` through resolve() inside a Bundle: profiling.html#discriminator."""
    named = definition({"id": "Patient.name", "min": 1}, name="named")
    group = _profile(
        {
            "id": "Group.member",
            "slicing": {
                "rules": "open",
                "discriminator": [{"type": "profile", "path": "entity.resolve()"}],
            },
        },
        {"id": "Group.member:named", "sliceName": "named", "min": 1},
        {
            "id": "Group.member:named.entity",
            "type": [{"code": "Reference", "targetProfile": [OWN + "named"]}],
        },
        type_="Group",
    )
    rulebook = _rulebook(named, group, profiles={OWN + "one": "reject", "*": "off"})
    of = {"resourceType": "Group", "type": "person", "actual": True, "member": []}
    of["meta"] = {"profile": [OWN + "one"]}
    with_name = {"resourceType": "Patient", "name": [{"text": "a"}]}
    one = {**of, "member": [{"entity": _linked(1)}]}
    assert rulebook.check(_bundle(one, with_name)) == []
    (issue,) = rulebook.check(_bundle(one, {"resourceType": "Patient"}))
    assert issue.expression == ("Bundle.entry[0].resource.member",)
    elsewhere = {**of, "member": [{"entity": {"reference": "Patient/elsewhere"}}]}
    assert rulebook.check(_bundle(elsewhere)) == []  # it cannot be told


def test_targets_of_references() -> None:
    """targetProfile: the type by the reference itself, the profile where it is at hand."""
    target = {"type": [{"code": "Reference", "targetProfile": [BASE + "Group"]}]}
    profile = _profile({"id": "Observation.subject", **target})
    assert _found(_observation(subject={"reference": "Group/1"}), profile) == set()
    assert _found(_observation(subject={"reference": "Patient/1"}), profile) == {
        ("Observation.subject", "target")
    }
    inside = _observation(
        contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"}
    )
    assert _found(inside, profile) == {("Observation.subject", "target")}


def test_invariants_of_a_profile_speak_both_languages() -> None:
    """A constraint brings its words, translated: StructureDefinition ... constraint.human."""
    translation = {
        "url": "http://hl7.org/fhir/StructureDefinition/translation",
        "extension": [
            {"url": "lang", "valueCode": "vi"},
            {"url": "content", "valueString": "Cần có họ tên."},
        ],
    }
    rule = {
        "key": "x-1",
        "severity": "warning",
        "human": "A name is needed.",
        "_human": {"extension": [translation]},
        "expression": "name.where(text.length() > 2).exists()",
    }
    rulebook = _rulebook(definition({"id": "Patient", "constraint": [rule]}))
    (issue,) = rulebook.check({"resourceType": "Patient"}, profiles=(OWN + "one",))
    assert (issue.severity, issue.rule, issue.profile) == ("warning", "x-1", OWN + "one")
    assert issue.text.startswith("A name is needed.")
    assert issue.vi is not None
    assert issue.vi.startswith("Cần có họ tên.")


def test_levels() -> None:
    """The url of a profile wins over the type, the type over `*`; off asks nothing."""
    profile = definition({"id": "Patient.name", "min": 1})
    claiming = {"resourceType": "Patient", "meta": {"profile": [OWN + "one"]}}
    for rules, severities in (
        ({"*": "off"}, []),
        ({"*": "warn"}, ["warning"]),
        ({"*": "warn", "Patient": "reject"}, ["error"]),
        ({"Patient": "reject", OWN + "one": "off"}, []),
    ):
        found = [
            issue.severity
            for issue in _rulebook(profile, profiles=rules).check(claiming)
            if issue.profile == OWN + "one"
        ]
        assert found == severities, rules


def test_extensions_keep_to_their_definition_and_their_place() -> None:
    """extensibility.html#context: `patient-birthPlace` is an Address of a Patient."""
    rulebook = _rulebook(profiles={"*": "off", "Extension": "reject"})
    url = BASE + "patient-birthPlace"
    good = {"url": url, "valueAddress": {"text": "Hà Nội"}}
    assert rulebook.check({"resourceType": "Patient", "extension": [good]}) == []
    (issue,) = rulebook.check(
        {"resourceType": "Patient", "extension": [{"url": url, "valueString": "Hà Nội"}]}
    )
    assert (issue.expression, issue.rule) == (("Patient.extension[0].value",), "type")
    (issue,) = rulebook.check(_observation(extension=[good]))
    assert (issue.expression, issue.rule) == (("Observation.extension[0]",), "extension")


def test_an_unknown_modifier_extension_is_a_warning_or_refused() -> None:
    """extensibility.html#modifierExtension: who does not know it must not go on as if it did."""
    patient = {
        "resourceType": "Patient",
        "contact": [
            {
                "name": {"text": "a"},
                "modifierExtension": [{"url": "http://x.org/m", "valueBoolean": True}],
            }
        ],
    }
    for refused, severity in ((frozenset(), "warning"), (frozenset({"Patient"}), "error")):
        (issue,) = _rulebook(refused_modifiers=refused).check(patient)
        assert (issue.severity, issue.rule) == (severity, "modifier-extension")
        assert issue.expression == ("Patient.contact[0].modifierExtension[0]",)


def test_profiles_apply_to_what_is_inside() -> None:
    """Entries and contained resources are resources: they are held to what they claim."""
    profile = definition({"id": "Patient.name", "min": 1})
    rulebook = _rulebook(profile, profiles={"*": "off", OWN + "one": "reject"})
    claiming = {"resourceType": "Patient", "meta": {"profile": [OWN + "one"]}}
    issues = rulebook.check(_bundle(claiming))
    assert ("Bundle.entry[0].resource.name",) in [issue.expression for issue in issues]
    inside = _observation(contained=[claiming | {"id": "p"}], subject={"reference": "#p"})
    issues = rulebook.check(inside)
    assert ("Observation.contained[0].name",) in [issue.expression for issue in issues]


@pytest.mark.parametrize(
    "hostile",
    [
        {"resourceType": {}},
        {"resourceType": ["Patient"]},
        {"resourceType": "Patient", "contained": [{"resourceType": {}}]},
        {"resourceType": "Patient", "meta": {"profile": [{"a": 1}, None, 7]}},
        {"resourceType": "Patient", "meta": [], "identifier": "x", "extension": {"url": 1}},
        {"resourceType": "Patient", "identifier": [{"system": {"a": 1}, "value": []}]},
        {
            "resourceType": "Bundle",
            "type": "document",
            "entry": [{"resource": {"resourceType": []}}],
        },
        {
            "resourceType": "Observation",
            "category": {"coding": "vital-signs"},
            "code": [{"coding": [{"system": {}, "code": {}}]}],
            "component": [[], None, {"code": 1}],
            "valueQuantity": {"value": [], "code": {"a": []}},
        },
        {
            "resourceType": "Organization",
            "address": [
                {
                    "extension": [
                        {
                            "url": "http://ehr-server.org/fhir/vn/StructureDefinition/province",
                            "valueCoding": {"system": {"a": 1}, "code": "01"},
                        }
                    ]
                }
            ],
        },
    ],
)
def test_what_is_no_resource_at_all_is_refused_and_no_more(hostile: Resource) -> None:
    """Whatever is sent, the answer is findings."""
    claims = ["http://ehr-server.org/fhir/vn/StructureDefinition/resident"]
    for rulebook in (Rulebook(), Rulebook(policy=Policy(profiles={"*": "reject"}))):
        assert any(issue.severity == "error" for issue in rulebook.check(hostile))
        assert rulebook.check(hostile, profiles=claims)
        assert rulebook.check({"resourceType": "Parameters", "parameter": [{"resource": hostile}]})


def test_a_profile_that_cannot_be_asked_asks_nothing() -> None:
    """Slices that nothing tells apart, a type that leads to itself: a `ProfileError` for who asks
    for the profile, and no more for what claims it."""
    untold = definition(
        {"id": "Patient.identifier", "slicing": _SLICED},
        {"id": "Patient.identifier:a", "sliceName": "a", "min": 1},
    )
    strange = {"rules": "open", "discriminator": [{"type": "value", "path": "where(use='x')"}]}
    unfollowed = definition(
        {"id": "Patient.identifier", "slicing": strange},
        {"id": "Patient.identifier:a", "sliceName": "a", "min": 1},
    )
    for profile in (untold, unfollowed):
        rulebook = _rulebook(profile, profiles={"*": "off", OWN + "one": "reject"})
        claiming = {"resourceType": "Patient", "meta": {"profile": [OWN + "one"]}}
        assert rulebook.check(claiming) == []
        with pytest.raises(ProfileError):
            rulebook.check(claiming, profiles=(OWN + "one",))
