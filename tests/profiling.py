"""Small profiles of our own for tests: StructureDefinitions, and the nodes made of them."""

from __future__ import annotations

from typing import Any

from ehr_server.definitions import Profile
from ehr_server.definitions.catalog import Catalog, artifact
from ehr_server.definitions.profile import Node
from ehr_server.definitions.snapshot import Profiles, narrowed_profile

BASE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "http://example.org/"
BY_SYSTEM = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}


def definition(
    *elements: dict[str, Any], type_: str = "Patient", name: str = "one", **more: Any
) -> dict[str, Any]:
    """A StructureDefinition; an element without a path has that of its id."""
    for element in elements:
        if "path" not in element:
            element["path"] = ".".join(p.partition(":")[0] for p in element["id"].split("."))
    return {
        "resourceType": "StructureDefinition",
        "url": OWN + name,
        "kind": "resource",
        "derivation": "constraint",
        "type": type_,
        "baseDefinition": BASE + type_,
        "differential": {"element": list(elements)},
        **more,
    }


def profiles(*definitions: dict[str, Any]) -> Profiles:
    return Profiles(Catalog().plus("test#1", [artifact(one, "test#1") for one in definitions]))


def made(*elements: dict[str, Any], type_: str = "Patient", **more: Any) -> Profile:
    return narrowed_profile(definition(*elements, type_=type_, **more), None)


def nodes(profile: Profile) -> dict[str, Node]:
    return {node.id: node for node in profile.root.below()}


def derived(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Node]:
    """The nodes of a profile on a profile."""
    found = profiles(parent, {**child, "url": OWN + "two", "baseDefinition": parent["url"]})
    profile = found.find(OWN + "two")
    assert profile is not None
    return nodes(profile)
