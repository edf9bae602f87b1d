"""No word, number, id or date of a person is found in what a policy leaves, whatever the type."""

from dataclasses import replace
from typing import Any

import pytest

from ehr_server.definitions import definitions
from ehr_server.deidentify import Deidentify, policy
from ehr_server.deidentify.policy import Policy
from ehr_server.fhir import json
from properties.law_deidentified import SECRETS, telling

R4 = definitions()
KEY = bytes(range(32))
SEEDS = range(3)


def _of_all(name: str) -> Policy:
    return replace(policy(name), resources=frozenset(R4.resource_types))


POLICIES = {name: _of_all(name) for name in ("research", "statistics")}


def _told(value: Any) -> list[str]:
    text = json.write(value).decode().casefold()
    return [secret for secret in SECRETS if secret.casefold() in text]


def _deidentify(name: str) -> Deidentify:
    return POLICIES[name].of(KEY, year=2026, may_tell=lambda _: True)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("type_name", R4.resource_types)
def test_nothing_of_a_person_is_left(name: str, type_name: str) -> None:
    of = _deidentify(name)
    for seed in SEEDS:
        source = telling(type_name, seed)
        assert _told(source), "the source must tell something, or this tests nothing"
        for person in ("secret-77", None):
            left = of(source, person)
            assert left is not None
            assert _told(left) == []
            assert left["resourceType"] == type_name


@pytest.mark.parametrize("name", POLICIES)
def test_contained_resources_and_bundles_tell_nothing_either(name: str) -> None:
    of = _deidentify(name)
    inner = telling("Patient", 1) | {"id": "kimngan"}
    outer = {
        "resourceType": "Observation",
        "id": "secret-77",
        "contained": [inner],
        "status": "final",
        "code": {"text": "viêmganbí"},
        "subject": {"reference": "#kimngan"},
    }
    left = of(outer, "secret-77")
    assert left is not None
    assert _told(left) == []
    assert left["subject"]["reference"] == "#" + left["contained"][0]["id"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": outer}]}
    assert _told(of(bundle, None)) == []


# What may become of an element of a type in which a person may be told of.
_MAY_BE = {
    **{key: {"date", "birth", "year", "drop"} for key in ("date", "dateTime", "instant")},
    "time": {"keep", "drop"},
    **{key: {"drop", "mask", "token", "samples"} for key in ("string", "markdown")},
    **{key: {"drop", "mask"} for key in ("uri", "url", "oid", "uuid", "base64Binary")},
    **{key: {"drop", "mask"} for key in ("HumanName", "ContactPoint", "Attachment", "Narrative")},
    **{key: {"drop", "mask"} for key in ("Annotation", "Signature", "ContactDetail", "Meta")},
    "id": {"drop", "hash"},
    "canonical": {"canonical", "drop"},
    "Extension": {"extension"},
    "Resource": {"resource"},
    **{key: {"type", "drop"} for key in ("Identifier", "Address", "Reference")},
}
_LOOKED_AT_TOGETHER = {"Coding", "Identifier", "Reference", "Address", "Quantity"}


@pytest.mark.parametrize("name", POLICIES)
def test_every_element_of_a_telling_type_has_a_rule(name: str) -> None:
    """All 146 resource types with all that is in them, and not one path is forgotten."""
    plans, seen = POLICIES[name].plans, set()
    level = list(R4.resource_types)
    met: set[str] = set()
    while level:
        type_name = level.pop()
        if type_name in seen:
            continue
        seen.add(type_name)
        for element in R4.types[type_name].elements.values():
            for json_name, inner in element.json_names():
                rule, action = plans.rule(type_name, element, json_name, inner)
                if inner in _MAY_BE:
                    met.add(inner)
                    assert action in _MAY_BE[inner], f"{type_name}.{json_name}: {action}"
                elif R4.types[inner].kind != "primitive" and inner not in _LOOKED_AT_TOGETHER:
                    level.append(inner)
                assert callable(rule)
    assert met == set(_MAY_BE)
    assert set(R4.resource_types) <= seen
