"""What packages need of one another: what is missing, and in which order they lie.

A dependency is there if a package of its name is, whatever its version: guides of one year work
with the terminology of another, and to hold several versions of it would decide nothing. Packages
may depend on one another in a circle, as hl7.terminology.r4 and hl7.fhir.uv.extensions.r4 do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.issue import Issue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ehr_server.packages.read import Package

# The standard itself in its several wrappings.
BUILT_IN = frozenset(
    f"hl7.fhir.r4.{name}"
    for name in ("core", "examples", "expansions", "search", "elements", "corexml")
)


def ordered(packages: Sequence[Package]) -> list[Package]:
    """What others depend on first; in a circle, as they were given."""
    by_name = {package.name: package for package in packages}
    found: dict[str, Package] = {}
    begun: set[str] = set()

    def put(package: Package) -> None:
        if package.label in begun:
            return
        begun.add(package.label)
        for name in package.dependencies:
            if name in by_name:
                put(by_name[name])
        found[package.label] = package

    for package in packages:
        put(package)
    return list(found.values())


def missing(packages: Sequence[Package], loaded: Iterable[str]) -> list[str]:
    """The dependencies, as `name#version`, of which there is neither a package nor a label among
    those `loaded`."""
    names = {label.partition("#")[0] for label in loaded} | {one.name for one in packages}
    wanted = {
        f"{name}#{version}"
        for package in packages
        for name, version in package.dependencies.items()
        if name not in names and name not in BUILT_IN
    }
    return sorted(wanted)


def other_versions(packages: Sequence[Package], loaded: Iterable[str]) -> Iterator[Issue]:
    """A warning for each dependency that is there in another version than was asked for."""
    labels = [label.partition("#") for label in (*loaded, *(one.label for one in packages))]
    for package in packages:
        for name, wanted in package.dependencies.items():
            there = [version for other, _, version in labels if other == name]
            if not there or name in BUILT_IN or any(_fits(one, wanted) for one in there):
                continue
            yield Issue(
                "warning",
                "informational",
                f"{package.label} asks for {name}#{wanted}; what is used is {name}#{there[-1]}.",
                vi=f"{package.label} cần {name}#{wanted}; bản được dùng là {name}#{there[-1]}.",
                rule="package-version",
            )


def _fits(version: str, wanted: str) -> bool:
    """`5.2.x` is any patch of 5.2; `current` and the like any version."""
    if wanted in ("current", "latest", "dev"):
        return True
    fixed = wanted.removesuffix(".x").removesuffix(".*")
    return version == wanted or (fixed != wanted and version.startswith(f"{fixed}."))
