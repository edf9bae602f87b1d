"""The maker of campaigns: equal for equal seeds, by the rules of the cards, valid as R4."""

import re
import unicodedata
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from campaign import Plan, bundles, facilities, places, residents, systems
from campaign.parts import Resource
from ehr_server.fhir import json
from ehr_server.validation import check
from ehr_server.validation.profiles.around import of_bundle
from ehr_server.validation.rulebook import Rulebook

PEOPLE = list(residents(600, seed=1))
PLAN = Plan(residents=12, seed=1, years=2)


def resources(bundle: Resource) -> list[Resource]:
    return [entry["resource"] for entry in bundle["entry"]]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


def test_equal_seeds_make_equal_bytes() -> None:
    made = [json.write(bundle) for bundle in bundles(PLAN)]
    assert made == [json.write(bundle) for bundle in bundles(PLAN)]
    assert made != [json.write(bundle) for bundle in bundles(Plan(12, seed=2, years=2))]


def test_a_longer_list_of_residents_begins_with_the_shorter() -> None:
    assert list(residents(50, seed=1)) == PEOPLE[:50]


def test_bundles_come_one_by_one() -> None:
    endless = bundles(Plan(residents=10**9))
    assert [bundle["type"] for bundle in islice(endless, 3)] == ["transaction"] * 3


def test_identity_cards_tell_sex_and_year_of_birth() -> None:
    cards = [(person.cccd, person) for person in PEOPLE if person.cccd is not None]
    assert len({card for card, _ in cards}) == len(cards)
    for card, person in cards:
        assert re.fullmatch(r"0\d{11}", card)
        assert card[1:3] in places.PROVINCES
        assert int(card[3]) == (0 if person.born.year < 2000 else 2) + (person.sex == "female")
        assert int(card[4:6]) == person.born.year % 100


def test_insurance_cards_have_15_characters_and_the_benefit_of_their_group() -> None:
    level = {"CC": "1", "TE": "1", "HN": "2", "HT": "3", "CN": "3", "QN": "5"}
    for person in PEOPLE:
        assert re.fullmatch(r"[A-Z]{2}[1-5]\d{2}\d{10}", person.bhyt)
        assert person.bhyt[2] == level.get(person.bhyt[:2], "4")
    assert len({person.bhyt for person in PEOPLE}) == len(PEOPLE)


def test_names_are_borne_as_in_life() -> None:
    families = Counter(person.name.family for person in PEOPLE)
    assert families.most_common(1)[0][0] == "Nguyễn"
    assert 0.2 < families["Nguyễn"] / len(PEOPLE) < 0.45
    minorities = {person.household.people.name for person in PEOPLE} - {"Kinh"}
    assert len(minorities) >= 4
    assert any("'" in person.name.text for person in PEOPLE)


def test_households_share_a_house_and_parents_care_for_their_children() -> None:
    houses: dict[int, set[tuple[str, int]]] = {}
    for person in PEOPLE:
        house = (person.household.village, person.household.house)
        houses.setdefault(person.household.number, set()).add(house)
        if person.kin is not None:
            assert person.kin.household == person.household
            assert person.born.year - person.kin.born.year >= 18
    assert all(len(house) == 1 for house in houses.values())
    assert any(person.kin is not None for person in PEOPLE)


def test_some_know_only_their_year_of_birth() -> None:
    births = [
        patient["birthDate"]
        for bundle in islice(bundles(Plan(300)), 301)
        for patient in resources(bundle)
        if patient["resourceType"] == "Patient"
    ]
    assert 0 < sum(len(birth) == 4 for birth in births) < 60


def test_a_checkup_of_an_adult_has_about_60_resources() -> None:
    adults = [
        len(bundle["entry"])
        for bundle in islice(bundles(PLAN), 1, None)
        if any(resource["resourceType"] == "Observation" and "29463-7" in str(resource["code"])
               for resource in resources(bundle))
        and not any(resource["resourceType"] == "RelatedPerson" for resource in resources(bundle))
    ]  # fmt: skip
    assert all(55 <= size <= 72 for size in adults)
    short = list(bundles(Plan(12, size="short")))[1]
    assert 25 <= len(short["entry"]) <= 40


def test_every_reference_finds_its_resource() -> None:
    first, *checkups = bundles(PLAN)
    known = {
        f"{resource['resourceType']}?identifier={one['system']}|{one['value']}"
        for resource in resources(first)
        for one in resource["identifier"]
    }
    for bundle in checkups:
        urls = {entry["fullUrl"] for entry in bundle["entry"]}
        assert len(urls) == len(bundle["entry"])
        assert set(references(bundle)) <= urls | known
    assert set(references(first)) <= known


def test_the_same_person_is_made_once() -> None:
    """The Bundles of two years name the person by the same criterion of ifNoneExist."""
    criteria = Counter(
        entry["request"].get("ifNoneExist")
        for bundle in islice(bundles(PLAN), 1, None)
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )
    assert None not in criteria
    assert set(criteria.values()) <= {1, 2}


def test_dirty_names_fold_to_the_clean_ones() -> None:
    clean, dirty = (
        [
            resource["name"][0]["text"]
            for bundle in islice(bundles(Plan(40, dirty=share)), 1, None)
            for resource in resources(bundle)
            if resource["resourceType"] == "Patient"
        ]
        for share in (0.0, 1.0)
    )
    assert all(unicodedata.is_normalized("NFC", name) for name in clean)
    assert sum(a != b for a, b in zip(clean, dirty, strict=True)) == len(clean)
    assert [_folded(name) for name in clean] == [_folded(name) for name in dirty]


def test_facilities_and_staff_are_made_where_they_are_absent() -> None:
    made = facilities(places.TIEN_THANG)["entry"]
    assert all(entry["request"]["ifNoneExist"].startswith("identifier=") for entry in made)
    assert sum(systems.FACILITY in entry["request"]["ifNoneExist"] for entry in made) == 2


@pytest.mark.parametrize("size", ["full", "short"])
def test_another_reader_of_the_standard_finds_all_resources_valid(size: Any) -> None:
    seen = set()
    for bundle in bundles(Plan(10, size=size, dirty=0.5)):
        for resource in resources(bundle):
            name = resource["resourceType"]
            get_fhir_model_class(name).model_validate_json(json.write(resource))
            seen.add(name)
    assert {"Patient", "Coverage", "Composition", "Observation", "RelatedPerson"} <= seen


def test_the_server_finds_all_bundles_valid() -> None:
    for bundle in bundles(Plan(30, years=2, dirty=0.2)):
        assert check(json.read(json.write(bundle))) == []


@pytest.mark.parametrize("size", ["full", "short"])
def test_the_local_profiles_have_nothing_to_say(size: Any) -> None:
    rulebook = Rulebook()
    for made in bundles(Plan(60, size=size, years=2, dirty=0.2)):
        bundle = json.read(json.write(made))
        assert rulebook.check(bundle) == []
        around = of_bundle(bundle)
        for resource in resources(bundle):
            assert rulebook.check(resource, around=around) == []


def _folded(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.lower().replace("đ", "d")
