"""The published examples of R4 held to the profiles that they claim, and to their extensions.

All of them keep to the profiles (`shareablevalueset`, `vitalsigns`, ...). Some extensions stand
where their definition, published beside them, does not let them: each is confirmed by its own
`context`, read as plain JSON. https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from __future__ import annotations

import json as plain
import re
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import make_refused_examples
from ehr_server.definitions.catalog import shipped
from ehr_server.validation.policy import Policy
from ehr_server.validation.rulebook import Rulebook

_PACKAGE = Path(__file__).parents[2] / "cache" / make_refused_examples.PACKAGE
_BASE = "http://hl7.org/fhir/StructureDefinition/"
_INDEX = re.compile(r"\[\d+\]")

Resource = dict[str, Any]

# A Bundle that breaks bdl-7: of what breaks the standard, extensions are not looked at.
_REFUSED = "Bundle-dataelements"

# Extension -> where the examples have it, by the paths of the types, and how often.
MISPLACED: dict[tuple[str, str], int] = {
    ("regex", "StructureDefinition.differential.element.type.extension"): 38,
    ("regex", "StructureDefinition.snapshot.element.type.extension"): 38,
    (
        "structuredefinition-fhir-type",
        "StructureDefinition.differential.element.type.extension",
    ): 46,
    ("structuredefinition-fhir-type", "StructureDefinition.snapshot.element.type.extension"): 3_620,
    ("structuredefinition-normative-version", "CodeSystem.extension"): 114,
    ("structuredefinition-normative-version", "OperationDefinition.extension"): 12,
    (
        "structuredefinition-normative-version",
        "StructureDefinition.differential.element.extension",
    ): 46,
    ("structuredefinition-normative-version", "StructureDefinition.snapshot.element.extension"): 46,
    ("structuredefinition-normative-version", "ValueSet.extension"): 199,
    ("translation", "ValueSet.expansion.contains.extension"): 3_139,
    ("valueset-concept-comments", "CodeSystem.concept.extension"): 28,
}


@cache
def _rulebook() -> Rulebook:
    """Everything that R4 publishes at its strictest, and nothing of our own."""
    own = (one.url for one in shipped().all("StructureDefinition") if "ehr-server" in one.package)
    return Rulebook(policy=Policy({**dict.fromkeys(own, "off"), "*": "reject"}, identifiers="off"))


def test_an_extension_of_any_element_may_stand_in_a_resource() -> None:
    """The context `Element` names all elements, the resource itself among them."""
    library = {"url": f"{_BASE}cqf-library", "valueCanonical": "http://example.org/Library/x"}
    for resource in (
        {"resourceType": "Patient", "extension": [library]},
        {"resourceType": "Patient", "name": [{"text": "x", "extension": [library]}]},
        {"resourceType": "Patient", "birthDate": "2001", "_birthDate": {"extension": [library]}},
    ):
        assert _rulebook().check(resource) == []


@pytest.mark.slow
@pytest.mark.skipif(not _PACKAGE.exists(), reason="no cache/: run tools/make_definitions.py")
def test_the_examples_keep_to_the_profiles_they_claim_and_a_few_extensions_are_misplaced() -> None:
    found: Counter[tuple[str, str]] = Counter()
    others = []
    claims = 0
    for name, resource in make_refused_examples.examples(_PACKAGE):
        claims += len(resource.get("meta", {}).get("profile", ()))
        by_standard = set(make_refused_examples.refusals(resource))
        for issue in set(_rulebook().check(resource)) - by_standard:
            if issue.rule == "extension":
                where = _typed(issue.expression[0], resource)
                found[issue.profile.removeprefix(_BASE), where] += 1
            elif issue.severity == "error":
                others.append((name, issue))
    assert others == []
    assert claims > 1_900
    assert found == MISPLACED


def _typed(place: str, resource: Resource) -> str:
    """The path by types: of what stands in an entry, from its own type on."""
    match = re.match(r"Bundle\.entry\[(\d+)\]\.resource", place)
    if match:
        place = resource["entry"][int(match[1])]["resource"]["resourceType"] + place[match.end() :]
    return _INDEX.sub("", place)


@pytest.mark.slow
@pytest.mark.skipif(not _PACKAGE.exists(), reason="no cache/: run tools/make_definitions.py")
def test_each_misplaced_extension_is_confirmed_by_its_published_definition() -> None:
    """The same list, made with the standard library alone."""
    published = _published()
    contexts = {
        url: {one["expression"] for one in published[f"StructureDefinition-{url}"]["context"]}
        for url in {url for url, _ in MISPLACED}
    }
    found: Counter[tuple[str, str]] = Counter()

    def walk(value: Any, path: str, names: set[str]) -> None:
        if isinstance(value, list):
            for one in value:
                walk(one, path, names)
        if not isinstance(value, dict):
            return
        if "resourceType" in value:
            path, names = value["resourceType"], {value["resourceType"]}
        for name, child in value.items():
            if name == "extension":
                for one in child:
                    url = one["url"].removeprefix(_BASE)
                    if url in contexts and contexts[url].isdisjoint(names):
                        found[url, f"{path}.extension"] += 1
            is_element = path.endswith((".snapshot", ".differential")) and name == "element"
            below = {f"{one}.{name.lstrip('_')}" for one in names}
            below |= {"ElementDefinition"} if is_element else set()
            below |= {"string", "code", "markdown"} if name.startswith("_") else set()
            walk(child, f"{path}.{name.lstrip('_')}", below)

    for name, resource in published.items():
        if name != _REFUSED:
            walk(resource, "", set())
    assert found == MISPLACED


@cache
def _published() -> dict[str, Resource]:
    """Everything in the package by file name, as the standard library reads it."""
    found = {}
    with tarfile.open(_PACKAGE) as tar:
        for member in tar:
            path = Path(member.name)
            if path.suffix == ".json" and not path.name.startswith(".") and path.stem != "package":
                stream = tar.extractfile(member)
                assert stream is not None
                found[path.stem] = plain.loads(stream.read())
    return found
