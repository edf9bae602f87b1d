"""Loading packages: read, ordered, checked together, stored together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server.packages import dependencies
from ehr_server.packages.check import check, faulty
from ehr_server.packages.code_list import package_of
from ehr_server.packages.read import Package, PackageError, read
from ehr_server.packages.searchable import take_in
from ehr_server.packages.shelf import on_shipped
from ehr_server.store.packages import Stored, save, stored

if TYPE_CHECKING:
    from ehr_server.issue import Issue
    from ehr_server.store.connect import Store


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it: the packages, what depends on nothing first, and all findings.

    `is_refused`: there are errors, and nothing was stored. `is_new`: False if all of it was there
    already.
    """

    packages: tuple[Package, ...]
    findings: tuple[Issue, ...]
    is_refused: bool
    is_new: bool = False


def load(store: Store, files: Sequence[Path], *, without_dependencies: bool = False) -> Loaded:
    """Load the packages in these files, in the order of their dependencies.

    Raises `PackageError` for a file that is no package of FHIR 4.0 and for dependencies that are
    missing (unless `without_dependencies`), `Conflict` if another load was first.
    """
    findings: list[Issue] = []
    packages = dependencies.ordered([_usable(file, findings) for file in files])
    before = stored(store)
    labels = on_shipped(before.layers).packages
    if not without_dependencies:
        _refuse_missing(packages, labels, files)
    findings += dependencies.other_versions(packages, labels)
    return _let_in(store, before, packages, findings)


def load_code_list(store: Store, code_system: dict[str, Any]) -> Loaded:
    """Load a CodeSystem as a package of its own.

    Raises `Invalid` for what has no url, `Conflict` if another load was first.
    """
    return _let_in(store, stored(store), [package_of(code_system)], [])


def _let_in(
    store: Store, before: Stored, packages: Sequence[Package], findings: Sequence[Issue]
) -> Loaded:
    """Check the packages against what was there before, and store them unless there are errors."""
    catalog = on_shipped(before.layers)
    for package in packages:
        catalog = catalog.plus(package.label, package.artifacts)
    artifacts = [one for package in packages for one in package.artifacts]
    found = (*findings, *check(catalog, artifacts))
    if any(issue.severity == "error" for issue in found):
        return Loaded(tuple(packages), found, is_refused=True)
    layers = {package.label: package.artifacts for package in packages}
    is_new = save(store, layers, before.generation, lambda connection: take_in(connection, catalog))
    return Loaded(tuple(packages), found, is_refused=False, is_new=is_new)


def _usable(file: Path, findings: list[Issue]) -> Package:
    """The package without what is left out; the reasons are added to the findings."""
    package = read(file)
    if package.name in dependencies.BUILT_IN:
        raise PackageError(f"{file.name}: {package.name} is built in")
    left_out = dict(faulty(package.artifacts))
    findings += left_out.values()
    return replace(package, artifacts=tuple(a for a in package.artifacts if a not in left_out))


def _refuse_missing(
    packages: Sequence[Package], loaded: Sequence[str], files: Sequence[Path]
) -> None:
    missing = dependencies.missing(packages, loaded)
    if missing:
        them = " ".join(f"{label.replace('#', '-')}.tgz" for label in missing)
        given = " ".join(str(file) for file in files)
        raise PackageError(
            f"{' and '.join(package.label for package in packages)} depends on what is not loaded: "
            f"{', '.join(missing)}. Load all at once (ehr-server load-package {them} {given}), or "
            "add --without-dependencies: what would need them is then not checked."
        )
