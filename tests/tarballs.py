"""FHIR packages, made by tests: files of names and resources, tarred and gzipped in memory."""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

from ehr_server.fhir import json

BASE = "http://example.org/fhir"
ABOUT = {
    "name": "org.example.guide",
    "version": "1.0.0",
    "fhirVersions": ["4.0.1"],
    "dependencies": {"hl7.fhir.r4.core": "4.0.1"},
}


def tarred(files: dict[str, Any]) -> bytes:
    """A .tgz of files by their paths; what is not bytes is written as JSON."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.write(content)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(written.getvalue(), compresslevel=1, mtime=0)


def guide(*resources: dict[str, Any], **about: Any) -> bytes:
    """The .tgz of a package of these resources; `about` changes what package.json says."""
    files = {f"package/{one['resourceType']}-{at}.json": one for at, one in enumerate(resources)}
    return tarred({"package/package.json": ABOUT | about, **files})


def written(folder: Path, data: bytes, name: str = "guide.tgz") -> Path:
    """The file that holds the package."""
    path = folder / name
    path.write_bytes(data)
    return path


def implementation_guide(version: str = "1.0.0") -> dict[str, Any]:
    return {
        "resourceType": "ImplementationGuide",
        "id": "guide",
        "url": f"{BASE}/ImplementationGuide/guide",
        "version": version,
        "name": "Guide",
        "status": "active",
        "packageId": "org.example.guide",
        "fhirVersion": ["4.0.1"],
    }


def profile(*elements: dict[str, Any], id_: str = "donor", **changed: Any) -> dict[str, Any]:
    """A profile on Patient with these elements in its differential."""
    return {
        "resourceType": "StructureDefinition",
        "id": id_,
        "url": f"{BASE}/StructureDefinition/{id_}",
        "version": "1.0.0",
        "name": "Donor",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, *elements]},
    } | changed


def value_set(id_: str, *include: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "id": id_,
        "url": f"{BASE}/ValueSet/{id_}",
        "name": id_.capitalize(),
        "status": "active",
        "compose": {"include": list(include)},
    }


def code_system(id_: str, *codes: str) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "id": id_,
        "url": f"{BASE}/CodeSystem/{id_}",
        "name": id_.capitalize(),
        "status": "active",
        "content": "complete",
        "concept": [{"code": code} for code in codes],
    }
