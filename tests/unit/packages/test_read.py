"""Packages are read without trusting them.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import gzip
import io
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ehr_server.packages import read as reading
from ehr_server.packages.read import PackageError, read
from tarballs import ABOUT, code_system, guide, implementation_guide, profile, tarred, written

PATIENT = {"resourceType": "Patient", "id": "one"}


def test_a_package_is_its_conformance_resources(tmp_path: Path) -> None:
    data = tarred(
        {
            "package/package.json": ABOUT,
            "package/.index.json": {"files": []},
            "package/ImplementationGuide-guide.json": implementation_guide(),
            "package/StructureDefinition-donor.json": profile(),
            "package/Patient-one.json": PATIENT,
            "package/example/CodeSystem-a.json": code_system("a"),
            "package/other/b.json": b"no JSON",
            "package/NamingSystem-x.json": {"resourceType": "NamingSystem", "id": "x"},
        }
    )
    package = read(written(tmp_path, data))
    assert (package.name, package.version) == ("org.example.guide", "1.0.0")
    assert package.dependencies == {"hl7.fhir.r4.core": "4.0.1"}
    assert [(one.type, one.package) for one in package.artifacts] == [
        ("ImplementationGuide", "org.example.guide#1.0.0"),
        ("NamingSystem", "org.example.guide#1.0.0"),
        ("StructureDefinition", "org.example.guide#1.0.0"),
    ]


def test_narratives_and_snapshots_are_not_kept(tmp_path: Path) -> None:
    """We make our own snapshots; https://hl7.org/fhir/R4/profiling.html#snapshot."""
    said = profile() | {"text": {"status": "empty"}, "snapshot": {"element": []}}
    [kept] = read(written(tmp_path, guide(said))).artifacts
    assert kept.resource() == profile()


def test_decimals_stay_as_they_were(tmp_path: Path) -> None:
    """https://hl7.org/fhir/R4/datatypes.html#decimal: the precision is part of the value."""
    element = {"path": "Observation.value[x]", "minValueDecimal": Decimal("1.00")}
    [kept] = read(written(tmp_path, guide(profile(element)))).artifacts
    assert b'"minValueDecimal":1.00' in kept.content()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "broken"),
        (b"no gzip at all", "broken"),
        (guide(profile())[:-20], "broken"),
        (gzip.compress(b"x" * 2000), "broken"),
        (tarred({"package/a.json": PATIENT}), "package.json is missing"),
        (tarred({"package/package.json": b"{"}), "package.json: "),
        (tarred({"package/package.json": b"[]"}), "a JSON object"),
        (guide(name="../evil"), "name is '../evil'"),
        (guide(name=5), "name is 5"),
        (guide(version="1#2"), "version is '1#2'"),
        (guide(fhirVersions=["5.0.0"]), "not for FHIR 4.0"),
        (guide(fhirVersions="4"), "not for FHIR 4.0"),
        (guide(dependencies=[]), "dependencies"),
        (guide(dependencies={"a": 1}), "dependencies"),
        (tarred({"package/package.json": ABOUT, "package/a.json": b"{broken"}), "a.json: "),
        (tarred({"package/package.json": ABOUT, "../package/a.json": b"{}"}), "leads out"),
        (tarred({"package/package.json": ABOUT, "/package/a.json": b"{}"}), "leads out"),
        (guide(profile(url="http://a|b")), "canonical"),
        (guide(profile(url="http://a/" + "b" * 2000)), "canonical"),
        (guide(profile(url=5)), "needs a resourceType and a url"),
    ],
    ids=range(20),
)
def test_what_is_no_package_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(PackageError, match=r"^guide\.tgz") as refused:
        read(written(tmp_path, data))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/a.json")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(PackageError, match="link or a device"):
        read(written(tmp_path, data.getvalue()))


@pytest.mark.parametrize(
    ("limit", "most", "says"),
    [
        ("UNPACKED_BYTES_MAX", 1 << 20, "unpacks to more than 1 MiB"),
        ("MEMBER_BYTES_MAX", 1 << 20, "larger than 1 MiB"),
        ("MEMBERS_MAX", 2, "more than 2 files"),
    ],
)
def test_a_package_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, says: str
) -> None:
    monkeypatch.setattr(reading, limit, most)
    files: dict[str, Any] = {
        "package/package.json": ABOUT,
        "other/a": b"",
        "other/b": bytes(3 << 20),
    }
    with pytest.raises(PackageError, match=says):
        read(written(tmp_path, tarred(files)))


def test_a_header_that_claims_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extended headers are read whole by the library; the stream beneath is what is bounded."""
    monkeypatch.setattr(reading, "UNPACKED_BYTES_MAX", 1 << 20)
    header = tarfile.TarInfo("package/a.json")
    header.type, header.size = tarfile.XHDTYPE, 1 << 32
    data = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(3 << 20))
    with pytest.raises(PackageError, match="unpacks to more than 1 MiB"):
        read(written(tmp_path, data))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing.tgz")
