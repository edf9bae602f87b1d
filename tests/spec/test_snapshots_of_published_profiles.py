"""The profiles of R4 and of the IPS: the trees made from their differentials say what the
snapshots published beside them say, element by element, but for known faults.

https://hl7.org/fhir/R4/profiling.html#snapshot. They are read from the packages in `cache/`, where
tools/make_definitions.py puts those of R4. Without these files: skipped.
"""

from __future__ import annotations

import contextlib
import tarfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ehr_server.definitions import Element, Profile, ProfileError, definitions
from ehr_server.definitions.catalog import Catalog, artifact
from ehr_server.definitions.profile import Node, TypeChoice
from ehr_server.definitions.snapshot import Profiles
from ehr_server.fhir import json

_CACHE = Path(__file__).parent.parent.parent / "cache"
_R4, _IPS = "hl7.fhir.r4.examples-4.0.1", "hl7.fhir.uv.ips-2.0.0"
_SYSTEM = "http://hl7.org/fhirpath/"
_BASE = "http://hl7.org/fhir/StructureDefinition/"

_IMPLIED = {("value", "url"), ("type", "$this")}  # of extensions and of choices, said or not

Facets = dict[str, Any]

# Profiles that contradict themselves, and how.
REFUSED = {
    # A slice in a list that may hold nothing: `extension` of `revision` has max 0.
    f"{_BASE}codesystem-history": "Extension.extension:revision.extension:date: min 1 is above",
    # A slice of a list without a slicing; the snapshot has it so too.
    f"{_BASE}familymemberhistory-genetic": "FamilyMemberHistory.condition:Condition: a slice, but",
}

# Profile, element, facet -> what the snapshot says otherwise, and why.
KNOWN = {
    # What is bound for each agent is not repeated for the slice, but bound for it as well.
    (f"{_BASE}provenance-relevant-history", "Provenance.agent:Author.type", "binding"): (
        ("extensible", "http://hl7.org/fhir/ValueSet/provenance-agent-type")
    ),
    # Composition or a profile of it: any Composition, as in the type, so that it is left out.
    (
        "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips",
        "Composition.relatesTo.target[x]",
        "types",
    ): {
        "Identifier": (set(), set()),
        "Reference": (
            set(),
            {
                f"{_BASE}Composition",
                "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips",
            },
        ),
    },
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all((_CACHE / f"{name}.tgz").exists() for name in (_R4, _IPS)),
        reason="no cache/: run tools/make_definitions.py",
    ),
]


@dataclass(frozen=True)
class Place:
    """Where an id of a snapshot leads: `own` are the nodes that say something of the element,
    of a slice those of its list before its own; `around` is the place of the list."""

    element: Element | None
    base: Facets
    own: tuple[Node, ...]
    choices: tuple[TypeChoice, ...]
    list: Place | None = None

    @property
    def is_counted(self) -> bool:
        """A resource stands alone: the cardinality of its root says nothing."""
        kind = definitions().types[self.choices[0].code].kind
        return self.element is not None or kind != "resource"


@pytest.mark.parametrize(("package", "count"), [(_R4, 437), (_IPS, 29)])
def test_trees_agree_with_the_published_snapshots(package: str, count: int) -> None:
    profiles = Profiles(_catalog())
    refused: dict[str, str] = {}
    differences: dict[tuple[str, str, str], Any] = {}
    compared = 0
    for definition in _definitions(package):
        try:
            profile = profiles.find(definition["url"])
        except ProfileError as error:
            refused[definition["url"]] = str(error)
            continue
        if profile is not None and "snapshot" in definition:
            compared += 1
            differences |= _differences(definition, profile, profiles)
    urls = {definition["url"] for definition in _definitions(package)}
    assert refused.keys() == REFUSED.keys() & urls
    assert all(f"{url}: {REFUSED[url]}" in text for url, text in refused.items())
    assert differences == {place: said for place, said in KNOWN.items() if place[0] in urls}
    assert compared == count


def test_what_is_no_constraint_on_a_type_is_no_profile() -> None:
    profiles = Profiles(_catalog())
    for package in (_R4, _IPS):
        for definition in _published_definitions(package):
            if definition.get("kind") == "logical":
                assert profiles.find(definition["url"]) is None


def test_the_time_to_make_a_profile() -> None:
    """Printed alone: a time is no promise on a machine that does other things too."""
    for package in (_R4, _IPS):
        took = []
        for definition in _definitions(package):
            profiles = Profiles(_catalog())  # its parents are made again too
            start = time.perf_counter()
            with contextlib.suppress(ProfileError):
                profiles.find(definition["url"])
            took.append((time.perf_counter() - start) * 1e3)
        took.sort()
        print(f"{package}: median {took[len(took) // 2]:.2f} ms, most {took[-1]:.1f} ms")


def _differences(
    definition: Facets, profile: Profile, profiles: Profiles
) -> dict[tuple[str, str, str], Any]:
    """Url, id and facet -> what the snapshot says, where the tree says something else."""
    found = {}
    for said in definition["snapshot"]["element"]:
        if _is_value_of_primitive(said):
            continue
        place = _place(said["id"], profile, profiles)
        published, made = _published(said, place), _made(place)
        for facet in published:
            if published[facet] != made[facet]:
                found[(profile.url, said["id"], facet)] = published[facet]
    return found


def _place(id_: str, profile: Profile, profiles: Profiles) -> Place:
    first, *steps = id_.split(".")
    place = Place(None, _bases()[first], (profile.root,), (TypeChoice(profile.type),))
    for step in steps:
        place = _below(place, step, profiles)
    return place


def _is_value_of_primitive(said: Facets) -> bool:
    codes = [one["code"] for one in said.get("type", ())]
    return said["id"].endswith(".value") and codes[0].startswith(_SYSTEM)


def _below(place: Place, step: str, profiles: Profiles) -> Place:
    name, _, sliced = step.partition(":")
    name = name.removesuffix("[x]")
    type_name = place.choices[0].code
    element = definitions().types[type_name].elements[name]
    around = list(place.own)
    if len(place.choices) == 1 and len(place.choices[0].profiles) == 1:
        followed = profiles.find(place.choices[0].profiles[0])
        around += [followed.root] if followed else []
    if place.element and place.element.is_choice and len(place.choices) == 1 and not place.list:
        around += [one for node in place.own for one in node.slices.values()]  # all there can be
    own = tuple(node.children[name] for node in around if name in node.children)
    base = _bases()[f"{type_name}.{name}" + ("[x]" if element.is_choice else "")]
    choices = _choices(own, tuple(map(TypeChoice, element.types)))
    below = Place(element, base, own, choices)
    pieces = sliced.split("/") if sliced else []
    for end in range(len(pieces)):
        slice_name = "/".join(pieces[: end + 1])
        of_slice = tuple(node.slices[slice_name] for node in below.own if slice_name in node.slices)
        if not of_slice and not element.is_list:
            continue  # no slice: another name for the element
        assert of_slice, (step, below)
        own = below.own + of_slice
        below = Place(element, base, own, _choices(of_slice, below.choices), below)
    return below


def _choices(nodes: tuple[Node, ...], choices: tuple[TypeChoice, ...]) -> tuple[TypeChoice, ...]:
    return next((node.types for node in reversed(nodes) if node.types), choices)


def _made(place: Place) -> Facets:
    """What the tree says, with what the type says."""
    new = place.own[len(place.list.own) :] if place.list else place.own
    element = place.element
    least = [node.min for node in new if node.min is not None]
    most = [node.max for node in place.own if node.max is not None]
    if element is not None:
        least += [] if place.list else [element.min]
        most += [] if element.max is None else [element.max]
    bases = {said["code"]: said for said in place.base.get("type", ())}
    return {
        "min": max(least, default=0),
        "max": str(min(most)) if most else "*",
        "types": {
            one.code: (
                _stripped(one.profiles or (bases.get(one.code, {}).get("profile", ()))),
                _stripped(one.targets or (bases.get(one.code, {}).get("targetProfile", ()))),
            )
            for one in place.choices
        },
        "fixed": _last(place.own, "fixed"),
        "pattern": _last(place.own, "pattern"),
        "binding": _binding(_last(place.own, "binding"), place.base),
        "minValue": _last(place.own, "least"),
        "maxValue": _last(place.own, "most"),
        "maxLength": _last(place.own, "length_max"),
        "slicing": {
            (one.kind, one.path)
            for node in new
            if node.slicing
            for one in node.slicing.discriminators
        }
        - _IMPLIED,
    }


def _published(said: Facets, place: Place) -> Facets:
    """What the snapshot says, in the same words."""
    return {
        "min": said["min"] if place.is_counted else 0,
        "max": said["max"] if place.is_counted else "*",
        "types": _published_types(said, place),
        "fixed": _of(said, "fixed"),
        "pattern": _of(said, "pattern"),
        "binding": _binding(None, said),
        "minValue": _of(said, "minValue"),
        "maxValue": _of(said, "maxValue"),
        "maxLength": said.get("maxLength"),
        "slicing": {
            (one["type"], one["path"]) for one in said.get("slicing", {}).get("discriminator", ())
        }
        - _IMPLIED,
    }


def _published_types(said: Facets, place: Place) -> dict[str, tuple[set[str], set[str]]]:
    found: dict[str, tuple[set[str], set[str]]] = {}
    for one in said.get("type", ()):
        if one["code"].startswith(_SYSTEM) or one["code"] in (
            "BackboneElement",
            "Element",
        ):
            break
        profiles, targets = found.setdefault(one["code"], (set(), set()))
        profiles |= _stripped(one.get("profile", ()))
        targets |= _stripped(one.get("targetProfile", ()))
    if not found:
        return {one.code: (set(one.profiles), set(one.targets)) for one in place.choices}
    for choice in place.list.choices if place.list else ():
        if choice.code in found and not found[choice.code][0]:
            found[choice.code][0].update(choice.profiles)  # what its list asks for
    return found


def _stripped(canonicals: Any) -> set[str]:
    return {
        url
        for canonical in canonicals
        if (url := canonical.removesuffix("|4.0.1")) != f"{_BASE}Resource"
    }


def _last(nodes: tuple[Node, ...], facet: str) -> Any:
    return next((v for node in reversed(nodes) if (v := getattr(node, facet)) is not None), None)


def _of(said: Facets, prefix: str) -> Any:
    return next(
        (v for key, v in said.items() if key.startswith(prefix) and key[len(prefix)].isupper()),
        None,
    )


def _binding(made: Any, said: Facets) -> tuple[str, str] | None:
    """Strength and value set, of weaker bindings none."""
    if made is not None:
        return made.strength, made.value_set.removesuffix("|4.0.1")
    found = said.get("binding", {})
    is_binding = found.get("strength") in ("required", "extensible")
    return (found["strength"], found["valueSet"].removesuffix("|4.0.1")) if is_binding else None


@cache
def _bases() -> dict[str, Facets]:
    """Path -> element of the types themselves."""
    return {
        said["path"]: said
        for definition in _definitions(_R4, derivation="specialization")
        for said in definition["snapshot"]["element"]
    }


def _definitions(package: str, derivation: str = "constraint") -> list[Facets]:
    return [one for one in _published_definitions(package) if one.get("derivation") == derivation]


@cache
def _catalog() -> Catalog:
    catalog = Catalog()
    for package in (_R4, _IPS):
        found = [artifact(one, package) for one in _published_definitions(package)]
        catalog = catalog.plus(package, found)
    return catalog


@cache
def _published_definitions(package: str) -> list[Facets]:
    found = []
    with tarfile.open(_CACHE / f"{package}.tgz") as tar:
        for member in tar:
            name = Path(member.name).name
            if name.startswith("StructureDefinition-") and name.endswith(".json"):
                stream = tar.extractfile(member)
                assert stream is not None
                found.append(json.read(stream.read()))
    return found
