"""The catalog: what is found by a canonical, and that the shipped one is whole.

https://hl7.org/fhir/R4/references.html#canonical
"""

import io
import zipfile
from pathlib import Path

import pytest

import make_artifacts
from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import Artifact, Catalog, artifact, shipped
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.layout import folder

URL = "http://example.org/ValueSet/blood"
R4 = "hl7.fhir.r4.core#4.0.1"


def value_set(version: str | None = None, package: str = "one#1") -> Artifact:
    return artifact(
        {"resourceType": "ValueSet", "url": URL} | ({"version": version} if version else {}),
        package,
    )


def test_a_canonical_finds_the_version_it_names() -> None:
    catalog = Catalog().plus("one#1", [value_set("1"), value_set("2")])
    found = catalog.find("ValueSet", f"{URL}|1")
    assert found is not None
    assert (found.type, found.url, found.version, found.package) == ("ValueSet", URL, "1", "one#1")
    assert found.resource() == {"resourceType": "ValueSet", "url": URL, "version": "1"}
    assert found.resource() is found.resource()


def test_a_version_that_is_not_there_finds_what_the_url_alone_would() -> None:
    catalog = Catalog().plus("one#1", [value_set("1")]).plus("two#1", [value_set("2", "two#1")])
    for canonical in (URL, f"{URL}|3"):
        found = catalog.find("ValueSet", canonical)
        assert found is not None
        assert (found.version, found.package) == ("2", "two#1")
    assert catalog.find("CodeSystem", URL) is None
    assert catalog.find("ValueSet", "http://example.org/other") is None


def test_plus_replaces_a_layer_of_the_same_label_and_leaves_the_library_before() -> None:
    before = Catalog().plus("one#1", [value_set("1")])
    after = before.plus("one#1", [value_set("2")])
    assert [one.version for one in before.all("ValueSet")] == ["1"]
    assert [one.version for one in after.all("ValueSet")] == ["2"]
    assert after.packages == ("one#1",)


@pytest.mark.parametrize(
    "resource",
    [b"{", b"[]", b"{}", b'{"resourceType":"ValueSet"}', b'{"resourceType":5,"url":"http://a"}'],
)
def test_what_is_no_conformance_resource_is_refused(resource: bytes) -> None:
    with pytest.raises(Invalid):
        artifact(resource, "one#1")


def test_a_naming_system_is_named_by_its_id() -> None:
    """https://hl7.org/fhir/R4/namingsystem.html has no url."""
    assert artifact({"resourceType": "NamingSystem", "id": "a"}, "one#1").url == "NamingSystem/a"


def test_the_shipped_library_holds_what_r4_publishes() -> None:
    r4 = shipped().of(R4)
    counts = {type_: sum(one.type == type_ for one in r4) for type_ in make_artifacts.FACTS}
    assert counts == {
        "StructureDefinition": 43 + 393 + 5,
        "CodeSystem": 1062,
        "ValueSet": 1316,
        "ConceptMap": 80,
        "NamingSystem": 2,
    }
    found = shipped().find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/bp")
    assert found is not None
    assert found.version == "4.0.1"
    elements = found.resource()["differential"]["element"]
    assert elements[0]["path"] == "Observation"
    assert not {"short", "definition", "comment", "mapping"} & set().union(*elements)


def test_what_the_index_says_is_what_stands_in_the_lines() -> None:
    for one in shipped().of(R4):
        again = artifact(one.content(), one.package)
        assert (again.type, again.url, again.version) == (one.type, one.url, one.version)


def test_the_type_of_every_shipped_profile_is_known() -> None:
    for one in shipped().all("StructureDefinition"):
        assert one.resource()["type"] in definitions().types


def test_local_artifacts_are_found_by_what_they_say_themselves() -> None:
    """They are listed without decoding them, which the form of the files allows."""
    [label] = [one for one in shipped().packages if one.startswith("ehr-server.vn#")]
    paths = sorted((folder("profiles") / "vn").glob("*/*.json"))
    for path, listed in zip(paths, shipped().of(label), strict=True):
        assert artifact(path.read_bytes(), label) == listed, path.name
        assert listed.resource()["resourceType"] == path.parent.name
        assert listed.resource()["id"] == path.stem


def test_equal_input_makes_equal_bytes() -> None:
    published = {type_: [] for type_ in make_artifacts.FACTS}
    published["ValueSet"] = [{"resourceType": "ValueSet", "id": "a", "url": URL, "text": "prose"}]
    data = make_artifacts.table(published)
    assert data == make_artifacts.table(published)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        index = json.read_own(file.read("index.json"))
        assert index["members"] == {"ValueSet-00.ndjson": [[URL, ""]]}
        assert json.read_own(file.read("ValueSet-00.ndjson")) == {
            "resourceType": "ValueSet",
            "id": "a",
            "url": URL,
        }


def test_the_table_is_small() -> None:
    assert Path(make_artifacts.TABLE).stat().st_size < 1_500_000
