"""Packages are loaded together or not at all, and stay loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ehr_server.errors import Conflict
from ehr_server.packages.load import load
from ehr_server.packages.read import PackageError
from ehr_server.packages.shelf import on_shipped
from ehr_server.store.connect import Store
from ehr_server.store.packages import save, stored
from tarballs import BASE, guide, implementation_guide, profile, written

CACHE = Path(__file__).parents[3] / "cache"
URL = f"{BASE}/StructureDefinition/donor"
LABEL = "org.example.guide#1.0.0"


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database, pool_size=2)
    yield store
    store.close()


def test_what_is_loaded_is_found_above_what_is_shipped(store: Store, tmp_path: Path) -> None:
    loaded = load(store, [written(tmp_path, guide(profile(), implementation_guide()))])
    assert (loaded.is_refused, loaded.is_new, loaded.findings) == (False, True, ())
    now = stored(store)
    assert (now.generation, list(now.layers)) == (1, [LABEL])
    catalog = on_shipped(now.layers)
    found = catalog.find("StructureDefinition", f"{URL}|1.0.0")
    assert found is not None
    assert found.resource() == profile()
    assert catalog.packages[-1] == LABEL
    assert catalog.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/bp")


def test_the_same_package_again_is_nothing_new(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path, guide(profile()))
    load(store, [file])
    again = load(store, [file])
    assert (again.is_refused, again.is_new) == (False, False)
    assert stored(store).generation == 1


def test_a_package_replaces_the_one_of_its_label(store: Store, tmp_path: Path) -> None:
    load(store, [written(tmp_path, guide(profile(), profile(id_="gone")))])
    load(store, [written(tmp_path, guide(profile(title="Người hiến")))])
    now = stored(store)
    assert now.generation == 2
    [only] = now.layers[LABEL]
    assert only.resource()["title"] == "Người hiến"


def test_of_two_versions_the_later_load_is_meant(store: Store, tmp_path: Path) -> None:
    load(store, [written(tmp_path, guide(profile(version="2"), version="2"))])
    load(store, [written(tmp_path, guide(profile(version="1"), version="1"))])
    catalog = on_shipped(stored(store).layers)
    versions = {
        canonical: getattr(catalog.find("StructureDefinition", canonical), "version", None)
        for canonical in (URL, f"{URL}|1", f"{URL}|2")
    }
    assert versions == {URL: "1", f"{URL}|1": "1", f"{URL}|2": "2"}


def test_errors_refuse_all_of_it(store: Store, tmp_path: Path) -> None:
    load(store, [written(tmp_path, guide(profile()))])
    good = written(tmp_path, guide(profile(title="New"), name="good"), "good.tgz")
    bad = written(tmp_path, guide(profile(baseDefinition=f"{BASE}/no"), name="bad"), "bad.tgz")
    refused = load(store, [good, bad])
    assert (refused.is_refused, refused.is_new) == (True, False)
    assert refused.findings[0].severity == "error"
    now = stored(store)
    assert (now.generation, list(now.layers)) == (1, [LABEL])


def test_a_missing_dependency_is_an_error_that_says_what_to_do(
    store: Store, tmp_path: Path
) -> None:
    needs = {"hl7.fhir.r4.core": "4.0.1", "org.example.one": "1.0.0", "org.example.two": "2.0.0"}
    file = written(tmp_path, guide(profile(), dependencies=needs))
    with pytest.raises(PackageError) as refused:
        load(store, [file])
    for word in (
        "org.example.one#1.0.0, org.example.two#2.0.0",
        f"load-package org.example.one-1.0.0.tgz org.example.two-2.0.0.tgz {file}",
        "--without-dependencies",
    ):
        assert word in str(refused.value)
    assert stored(store).generation == 0
    assert load(store, [file], without_dependencies=True).is_new


def test_several_files_are_loaded_in_the_order_of_their_dependencies(
    store: Store, tmp_path: Path
) -> None:
    below = profile(id_="below")
    above = profile(id_="above", baseDefinition=below["url"])
    first = guide(below, name="org.example.below")
    last = guide(above, name="org.example.above", dependencies={"org.example.below": "1.x"})
    files = [written(tmp_path, last, "a.tgz"), written(tmp_path, first, "b.tgz")]
    assert not load(store, files).findings
    assert list(stored(store).layers) == ["org.example.below#1.0.0", "org.example.above#1.0.0"]


def test_the_standard_itself_is_built_in(store: Store, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="built in"):
        load(store, [written(tmp_path, guide(name="hl7.fhir.r4.core", version="4.0.1"))])


def test_what_was_checked_against_another_generation_is_not_stored(
    store: Store, tmp_path: Path
) -> None:
    load(store, [written(tmp_path, guide(profile()))])
    with pytest.raises(Conflict):
        save(store, {LABEL: ()}, 0)
    assert stored(store).generation == 1


def _published(*names: str) -> list[Path]:
    files = [CACHE / f"{name}.tgz" for name in names]
    if not all(file.exists() for file in files):
        pytest.skip("needs the published packages in cache/")
    return files


def test_the_international_patient_summary_loads(store: Store) -> None:
    """https://hl7.org/fhir/uv/ips/STU2; one of its dependencies is published nowhere."""
    files = _published("hl7.fhir.uv.ips-2.0.0")
    with pytest.raises(PackageError, match=r"hl7\.fhir\.uv\.ipa#1\.1\.0"):
        load(store, files)
    loaded = load(store, files, without_dependencies=True)
    assert loaded.is_new
    assert {issue.rule for issue in loaded.findings} == {"package-canonical"}
    kept = [one.type for one in stored(store).layers["hl7.fhir.uv.ips#2.0.0"]]
    assert (kept.count("StructureDefinition"), kept.count("ValueSet")) == (32, 36)


@pytest.mark.slow
def test_the_summary_loads_beside_the_terminology_and_the_extensions(store: Store) -> None:
    """These two depend on each other, and hold what is no resource of R4: it is left out."""
    below = _published("hl7.terminology.r4-7.0.1", "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1")
    files = _published("hl7.fhir.uv.ips-2.0.0")
    with pytest.raises(PackageError):
        load(store, below[:1])
    assert load(store, below).is_new
    assert load(store, files, without_dependencies=True).is_new
    assert sum(map(len, stored(store).layers.values())) > 4_900
