"""Whether a code is in a value set: https://hl7.org/fhir/R4/valueset.html#compositions"""

from timeit import timeit
from typing import Any

import pytest

from ehr_server.definitions.catalog import shipped
from ehr_server.terminology import Terminology
from unit.terminology.lists import ANIMALS, animals, code_system, terminology, value_set

SET = "http://example.org/set"
OTHER = "http://example.org/other"


def _asked(given: Terminology, codes: str, system: str | None = ANIMALS) -> list[bool | None]:
    return [given.has(SET, system, code) for code in codes.split()]


def test_listed_codes_need_no_system_that_is_loaded() -> None:
    given = terminology(value_set({"system": ANIMALS, "concept": [{"code": "dog"}]}))
    assert _asked(given, "dog cat") == [True, False]
    assert _asked(given, "dog cat", None) == [True, False]
    assert _asked(given, "dog", "http://example.org/plants") == [False]
    assert given.codes(SET) == {ANIMALS: {"dog"}}


def test_a_whole_system_that_is_loaded() -> None:
    given = terminology(animals(), value_set({"system": ANIMALS}))
    assert _asked(given, "dog dodo rose") == [True, True, False]


def test_abstract_concepts_are_not_for_use_unless_they_are_listed() -> None:
    """codesystem-concept-properties: notSelectable."""
    given = terminology(animals(), value_set({"system": ANIMALS}))
    assert _asked(given, "animal") == [False]
    assert given.codes(SET) == {ANIMALS: {"mammal", "dog", "cat", "bird", "dodo"}}
    listed = value_set({"system": ANIMALS, "concept": [{"code": "animal"}]})
    assert _asked(terminology(animals(), listed), "animal") == [True]


def test_codes_of_a_system_that_is_not_loaded_are_not_checked() -> None:
    given = terminology(value_set({"system": ANIMALS}))
    assert _asked(given, "dog") == [None]
    assert _asked(given, "dog", None) == [None]
    assert _asked(given, "dog", "http://example.org/plants") == [False]
    assert given.codes(SET) is None


@pytest.mark.parametrize("content", ["fragment", "example"])
def test_of_a_fragment_unknown_codes_are_not_checked(content: str) -> None:
    """codesystem-content-mode."""
    given = terminology(animals(content=content), value_set({"system": ANIMALS}))
    assert _asked(given, "dog rose") == [True, None]
    assert given.codes(SET) is None


def test_a_system_without_content_is_not_loaded() -> None:
    given = terminology(animals(content="not-present"), value_set({"system": ANIMALS}))
    assert _asked(given, "dog") == [None]


def test_a_value_set_that_is_not_loaded() -> None:
    assert _asked(terminology(), "dog") == [None]
    assert terminology().codes(SET) is None


def test_a_system_that_does_not_mind_case() -> None:
    given = terminology(animals(caseSensitive=False), value_set({"system": ANIMALS}))
    assert _asked(given, "DOG Dog rose") == [True, True, False]
    assert given.codes(SET) is None  # too many ways of writing to list
    listed = value_set({"system": ANIMALS, "concept": [{"code": "dog"}]})
    assert _asked(terminology(animals(caseSensitive=False), listed), "DOG cat") == [True, False]


@pytest.mark.parametrize(
    ("op", "property_", "value", "expected"),
    [
        ("is-a", "concept", "mammal", "mammal dog cat"),
        ("descendent-of", "concept", "mammal", "dog cat"),
        ("is-not-a", "concept", "mammal", "bird dodo"),
        ("generalizes", "concept", "dog", "mammal dog"),
        ("=", "legs", "4", "dog"),
        ("=", "code", "cat", "cat"),
        ("in", "concept", "dog,bird", "dog bird"),
        ("not-in", "legs", "4", "mammal cat bird dodo"),
        ("exists", "legs", "true", "dog bird"),
        ("exists", "legs", "false", "mammal cat dodo"),
        ("regex", "code", "d.*", "dog dodo"),
        ("regex", "display", "[A-C]at", "cat"),
        ("=", "parent", "bird", "dodo"),
        ("=", "child", "dog", "mammal"),
        ("=", "inactive", "true", "dodo"),
    ],
)
def test_filters(op: str, property_: str, value: str, expected: str) -> None:
    """https://hl7.org/fhir/R4/valueset-filter-operator.html"""
    chosen = {"property": property_, "op": op, "value": value}
    given = terminology(animals(), value_set({"system": ANIMALS, "filter": [chosen]}))
    codes = ["mammal", "dog", "cat", "bird", "dodo"]
    assert [one for one in codes if given.has(SET, ANIMALS, one)] == expected.split()
    assert given.codes(SET) == {ANIMALS: set(expected.split())}


def test_several_filters_all_hold() -> None:
    filters = [
        {"property": "concept", "op": "is-a", "value": "animal"},
        {"property": "legs", "op": "=", "value": "2"},
    ]
    given = terminology(animals(), value_set({"system": ANIMALS, "filter": filters}))
    assert given.codes(SET) == {ANIMALS: {"bird"}}


@pytest.mark.parametrize(
    "chosen",
    [
        {"property": "concept", "op": "is-a", "value": "rose"},
        {"property": "wings", "op": "=", "value": "2"},
        {"property": "code", "op": "regex", "value": "(?=d)og"},
        {"property": "code", "op": "like", "value": "dog"},
    ],
)
def test_a_filter_that_cannot_be_leaves_codes_unchecked(chosen: dict[str, str]) -> None:
    given = terminology(animals(), value_set({"system": ANIMALS, "filter": [chosen]}))
    assert _asked(given, "dog") == [None]
    assert given.codes(SET) is None


def test_a_pattern_that_tries_again_and_again_takes_no_longer() -> None:
    long = code_system([{"code": "a" * 5000 + "b"}])
    chosen = {"property": "code", "op": "regex", "value": "(a+)+"}
    given = terminology(long, value_set({"system": ANIMALS, "filter": [chosen]}))
    assert given.codes(SET) == {}


def test_what_is_excluded_is_not_in() -> None:
    out = {"system": ANIMALS, "concept": [{"code": "cat"}]}
    given = terminology(animals(), value_set({"system": ANIMALS}, exclude=[out]))
    assert _asked(given, "dog cat") == [True, False]
    assert given.codes(SET) == {ANIMALS: {"mammal", "dog", "bird", "dodo"}}


def test_inactive_codes_can_be_left_out() -> None:
    """ValueSet.compose.inactive"""
    given = terminology(animals(), value_set({"system": ANIMALS}, inactive=False))
    assert _asked(given, "bird dodo") == [True, False]
    assert "dodo" not in (given.codes(SET) or {})[ANIMALS]


def test_a_value_set_and_a_system_in_one_include_intersect() -> None:
    other = value_set({"system": ANIMALS, "concept": [{"code": "dog"}]}, url=OTHER)
    both = value_set({"system": ANIMALS, "valueSet": [OTHER]})
    given = terminology(animals(), both, other)
    assert _asked(given, "dog cat") == [True, False]
    assert given.codes(SET) == {ANIMALS: {"dog"}}


def test_value_sets_in_one_include_intersect_and_in_several_unite() -> None:
    one = value_set({"system": ANIMALS, "concept": [{"code": "dog"}, {"code": "cat"}]}, url=OTHER)
    two = value_set({"system": ANIMALS, "concept": [{"code": "cat"}]}, url="http://example.org/2")
    both = value_set({"valueSet": [OTHER, "http://example.org/2"]})
    assert terminology(one, two, both).codes(SET) == {ANIMALS: {"cat"}}
    either = value_set({"valueSet": [OTHER]}, {"valueSet": ["http://example.org/2"]})
    given = terminology(one, two, either)
    assert given.codes(SET) == {ANIMALS: {"cat", "dog"}}
    assert _asked(given, "dog cat rose") == [True, True, False]


def test_an_import_that_is_not_loaded_leaves_the_rest_checked() -> None:
    own = {"system": ANIMALS, "concept": [{"code": "dog"}]}
    given = terminology(value_set(own, {"valueSet": [OTHER]}))
    assert _asked(given, "dog cat") == [True, None]


def test_value_sets_that_include_themselves_check_nothing() -> None:
    one = value_set({"valueSet": [OTHER]})
    other = value_set({"valueSet": [SET]}, url=OTHER)
    given = terminology(one, other)
    assert _asked(given, "dog") == [None]
    assert given.codes(SET) is None


def test_a_hierarchy_in_a_circle_checks_nothing() -> None:
    up = [
        {"code": one, "property": [{"code": "parent", "valueCode": other}]}
        for one, other in ("ab", "ba")
    ]
    given = terminology(code_system(up), value_set({"system": ANIMALS}))
    assert _asked(given, "a") == [None]


def test_a_supplied_expansion_counts_where_there_is_no_composition() -> None:
    contains = [
        {"system": ANIMALS, "code": "dog", "contains": [{"system": ANIMALS, "code": "pug"}]}
    ]
    only: Any = {"resourceType": "ValueSet", "url": SET, "expansion": {"contains": contains}}
    assert terminology(only).codes(SET) == {ANIMALS: {"dog", "pug"}}
    both = {**value_set({"system": ANIMALS, "concept": [{"code": "cat"}]}), **only}
    assert terminology(both).codes(SET) == {ANIMALS: {"cat"}}


def test_a_version_finds_its_own() -> None:
    old = {**value_set({"system": ANIMALS, "concept": [{"code": "dodo"}]}), "version": "1"}
    new = {**value_set({"system": ANIMALS, "concept": [{"code": "dog"}]}), "version": "2"}
    given = terminology(old, new)
    assert given.has(SET, ANIMALS, "dodo") is False
    assert given.has(f"{SET}|1", ANIMALS, "dodo") is True


def test_the_value_set_that_a_system_names_as_its_own() -> None:
    """CodeSystem.valueSet: all codes of the system."""
    given = terminology(animals(valueSet=SET))
    assert _asked(given, "dog rose") == [True, False]


def test_too_many_codes_to_list() -> None:
    given = terminology(animals(), value_set({"system": ANIMALS}))
    assert given.codes(SET, most=4) is None
    assert given.codes(SET, most=5) is not None


def test_what_is_not_loaded_costs_little_to_ask_about() -> None:
    """A profile may bind to it: it is asked about for every resource."""
    given = Terminology(shipped())
    given.has(OTHER, ANIMALS, "dog")
    assert timeit(lambda: given.has(OTHER, ANIMALS, "dog"), number=1000) < 0.1
