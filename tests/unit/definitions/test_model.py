"""What the tables of R4 hold, and that their numbers never change."""

import hashlib
from dataclasses import replace

from ehr_server.definitions import definitions

R4 = definitions()


def test_all_types_are_there() -> None:
    kinds = [definition.kind for definition in R4.types.values()]
    assert len(R4.resource_types) == 146
    assert kinds.count("primitive") == 20
    assert R4.types["Observation.component"].kind == "backbone"
    assert all(
        name in R4.types for t in R4.types.values() for e in t.elements.values() for name in e.types
    )


def test_an_element_says_how_it_stands_in_json() -> None:
    observation = R4.types["Observation"].elements
    assert observation["value"].is_choice
    assert "Quantity" in observation["value"].types
    assert not observation["value"].is_list
    assert observation["category"].is_list
    assert observation["category"].max is None
    assert (observation["status"].min, observation["status"].max) == (1, 1)
    assert observation["subject"].targets == ("Patient", "Group", "Device", "Location")
    assert observation["status"].binding == "http://hl7.org/fhir/ValueSet/observation-status"


def test_a_reference_to_another_element_is_resolved() -> None:
    component = R4.types["Observation.component"].elements
    assert component["referenceRange"].types == ("Observation.referenceRange",)


def test_ids_and_urls_of_extensions_have_no_sibling() -> None:
    assert R4.types["Patient"].elements["id"].types == ("id",)
    assert R4.types["Patient"].elements["id"].is_bare
    assert R4.types["HumanName"].elements["id"].types == ("string",)
    assert R4.types["Extension"].elements["url"].is_bare
    assert not R4.types["Patient"].elements["language"].is_bare


def test_inheritance() -> None:
    assert R4.types["Patient"].parent == "DomainResource"
    assert R4.types["Bundle"].parent == "Resource"
    assert R4.types["canonical"].parent == "uri"
    assert R4.types["Duration"].parent == "Quantity"
    assert R4.types["Patient.contact"].parent == "BackboneElement"


def test_search_parameters_are_reduced_to_their_type() -> None:
    patient = R4.search_parameters["Patient"]
    assert patient["phone"].expression == "Patient.telecom.where(system='phone')"
    assert patient["_lastUpdated"].expression == "Patient.meta.lastUpdated"
    assert R4.search_parameters["InsurancePlan"]["name"].expression == (
        "InsurancePlan.name | InsurancePlan.alias"
    )
    composite = R4.search_parameters["Observation"]["code-value-quantity"]
    assert composite.components == (("code", "code"), ("value-quantity", "value.as(Quantity)"))


def test_numbers_are_unique_and_stay() -> None:
    """A digest of all that index rows are written with. If it differs, indexes are void."""
    parameters = [p for of in R4.search_parameters.values() for p in of.values()]
    assert len({parameter.number for parameter in parameters}) == len(parameters)
    assert max(parameter.number for parameter in parameters) < 2**15
    assert {R4.type_name[number] for number in R4.type_number.values()} == set(R4.resource_types)
    first = sorted((p.number, p.base, p.code) for p in parameters if p.number <= 3165)
    types = sorted((number, name) for name, number in R4.type_number.items() if number <= 146)
    digest = hashlib.sha256(repr((first, types)).encode()).hexdigest()
    assert digest[:16] == "6a59565e2a245f79"


def test_compartments_name_search_parameters() -> None:
    assert set(R4.compartments) == {
        "Patient",
        "Encounter",
        "RelatedPerson",
        "Practitioner",
        "Device",
    }
    assert R4.compartments["Patient"]["Observation"] == ("subject", "performer")
    assert "Organization" not in R4.compartments["Patient"]
    for members in R4.compartments.values():
        for type_name, codes in members.items():
            assert set(codes) <= R4.search_parameters[type_name].keys()


def test_closed_value_sets_have_codes() -> None:
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert R4.codes[gender] == {"male", "female", "other", "unknown"}
    assert R4.systems[gender] == "http://hl7.org/fhir/administrative-gender"
    assert "http://hl7.org/fhir/ValueSet/mimetypes" not in R4.codes


def test_marks_of_summaries_and_modifiers() -> None:
    patient = R4.types["Patient"].elements
    assert patient["name"].is_summary
    assert not patient["name"].is_modifier
    assert (patient["active"].is_summary, patient["active"].is_modifier) == (True, True)
    assert (patient["contact"].is_summary, patient["contact"].is_modifier) == (False, False)
    assert not R4.types["Attachment"].elements["data"].is_summary
    assert R4.types["Patient.link"].elements["other"].is_summary
    several = [one for of in R4.types.values() for one in of.elements.values()]
    assert sum(one.is_summary for one in several) == 3266
    assert sum(one.is_modifier for one in several) == 903


def test_how_elements_are_shown_does_not_make_them_differ() -> None:
    """A profile narrows an element of several types at once if they have it alike."""
    element = R4.types["Patient"].elements["name"]
    assert replace(element, is_summary=False, is_modifier=True) == element
