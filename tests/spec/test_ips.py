"""The International Patient Summary 2.0.0 as a test bed: its profiles load, its examples pass, and
what is broken in them is found where it is broken. http://hl7.org/fhir/uv/ips/STU2

Read from the package in `cache/` (`npm pack hl7.fhir.uv.ips@2.0.0`); without it: skipped.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ehr_server.definitions.catalog import Catalog, shipped
from ehr_server.fhir import json
from ehr_server.packages.read import read
from ehr_server.validation.policy import Policy
from ehr_server.validation.rulebook import Rulebook

_PACKAGE = Path(__file__).parent.parent.parent / "cache" / "hl7.fhir.uv.ips-2.0.0.tgz"
_URL = "http://hl7.org/fhir/uv/ips/StructureDefinition/"
_OWN = Policy(profiles={_URL + "Bundle-uv-ips": "reject", "Extension": "reject", "*": "off"})

pytestmark = pytest.mark.skipif(not _PACKAGE.exists(), reason="the package is not in cache/")

Resource = dict[str, Any]
Change = Callable[[Resource], None]


@cache
def _examples() -> dict[str, Resource]:
    """The examples by file name without its ending."""
    found = {}
    with tarfile.open(_PACKAGE) as tar:
        for member in tar.getmembers():
            folder, _, name = member.name.rpartition("/")
            if folder == "package/example" and name.endswith(".json"):
                file = tar.extractfile(member)
                assert file is not None
                value = json.read(file.read())
                if value.get("meta", {}).get("profile"):
                    found[name.removesuffix(".json")] = value
    return found


@cache
def _catalog() -> Catalog:
    package = read(_PACKAGE)
    return shipped().plus(package.label, package.artifacts)


@cache
def _rulebook() -> Rulebook:
    return Rulebook(_catalog(), _OWN)


def test_the_profiles_load() -> None:
    """32 StructureDefinitions: 29 profiles, and 3 logical models that hold for no resource."""
    urls = [one.url for one in _catalog().all("StructureDefinition") if one.url.startswith(_URL)]
    held = [_rulebook().held(url) for url in urls]
    assert len(urls) == 32
    assert sum(one is not None for one in held) == 29


def _names() -> list[str]:
    return sorted(_examples()) if _PACKAGE.exists() else []


@pytest.mark.parametrize("name", _names())
def test_an_example_keeps_to_what_it_claims(name: str) -> None:
    example = _examples()[name]
    claimed = tuple(example["meta"]["profile"])
    assert all(_rulebook().held(url) is not None for url in claimed)
    issues = _rulebook().check(example, profiles=claimed)
    assert [issue for issue in issues if issue.severity == "error"] == []


def _set(*path: str | int, to: Any) -> Change:
    def change(resource: Resource) -> None:
        holder: Any = resource
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = to

    return change


def _without(*path: str | int) -> Change:
    def change(resource: Resource) -> None:
        holder: Any = resource
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]

    return change


def _coded(code: str, system: str = "http://loinc.org") -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _extension(name: str, **value: Any) -> list[Resource]:
    return [{"url": f"http://hl7.org/fhir/StructureDefinition/{name}", **value}]


def _both(*changes: Change) -> Change:
    def change(resource: Resource) -> None:
        for one in changes:
            one(resource)

    return change


_LOCATION = {"reference": "Location/1"}
_PATIENT, _EDD = "Patient-66033", "Observation-pregnancy-edd-example"
_STATUS, _OUTCOME = "Observation-pregnancy-status-example", "Observation-pregnancy-outcome-example"
_SMOKING, _HB = "Observation-tobacco-use-example", "Observation-hemoglobin"
_IMAGE, _TAKES = "Observation-ips-example-imaging-1", "MedicationStatement-eumfh-39-07-1"
_ORDER, _ALLERGY = (
    "MedicationRequest-eumfh-39-07-1-request",
    "AllergyIntolerance-eumfh-39-07-1",
)
_CONDITION, _DOSE = "Condition-eumfh-39-07-1", "Immunization-75680"
_REPORT, _USE = "DiagnosticReport-hemoglobin", "DeviceUseStatement-eumfh-70-275-1"
_DOCUMENT, _COMPOSITION = "Bundle-bundle-minimal", "Composition-composition-minimal"
_IN = "Bundle.entry[0].resource"

# What is broken, in which example, and the finding: place and rule.
BREACHES: dict[str, tuple[str, Change, str, str]] = {
    "patient without a name": (_PATIENT, _without("name"), "Patient.name", "min"),
    "name of nothing": (
        _PATIENT, _set("name", to=[{"use": "official"}]), "Patient.name[0]", "ips-pat-1"),
    "patient without a birth date": (
        _PATIENT, _without("birthDate"), "Patient.birthDate", "min"),
    "practitioner that is a place": (
        _PATIENT, _set("generalPractitioner", to=[_LOCATION]),
        "Patient.generalPractitioner[0].reference", "target"),
    "date of birth by another code": (
        _EDD, _set("code", to=_coded("1-8")), "Observation.code", "binding"),
    "subject out of reach": (
        _EDD, _set("subject", to={"display": "x"}), "Observation.subject.reference", "min"),
    "subject that is a group": (
        _EDD, _set("subject", to={"reference": "Group/1"}), "Observation.subject", "target"),
    "no subject": (_EDD, _without("subject"), "Observation.subject", "min"),
    "period in place of a day": (
        _EDD, _both(_without("effectiveDateTime"), _set("effectivePeriod", to={"start": "2020"})),
        "Observation.effective", "type"),
    "component where none is": (
        _EDD, _set("component", to=[{"code": {"text": "x"}, "valueString": "y"}]),
        "Observation.component", "max"),
    "specimen where none is": (
        _EDD, _set("specimen", to={"reference": "Specimen/1"}), "Observation.specimen", "max"),
    "member of another type": (
        _STATUS, _set("hasMember", to=[{"reference": "QuestionnaireResponse/1"}]),
        "Observation.hasMember[0]", "target"),
    "number of births by another code": (
        _OUTCOME, _set("code", to=_coded("1-8")), "Observation.code", "binding"),
    "smoking without a date": (
        _SMOKING, _without("effectiveDateTime"), "Observation.effective", "min"),
    "smoking by another code": (
        _SMOKING, _set("code", to=_coded("72166-9")), "Observation.code", "pattern"),
    "smoking with components": (
        _SMOKING, _set("component", to=[{"code": {"text": "x"}, "valueString": "y"}]),
        "Observation.component", "max"),
    "laboratory of another category": (
        _HB, _set("category", 0, "coding", 0, "code", to="exam"), "Observation.category", "slice"),
    "laboratory twice": (
        _HB,
        _set("category", to=[_coded("laboratory",
             "http://terminology.hl7.org/CodeSystem/observation-category")] * 2),
        "Observation.category", "slice"),
    "laboratory without a category": (_HB, _without("category"), "Observation.category", "min"),
    "laboratory by nobody": (_HB, _without("performer"), "Observation.performer", "min"),
    "laboratory without any value": (_HB, _without("valueQuantity"), "Observation", "ips-2"),
    "component without any value": (
        _HB, _set("component", to=[{"code": {"text": "x"}}]), "Observation", "ips-3"),
    "laboratory entered in error": (
        _HB, _set("status", to="entered-in-error"), "Observation.status", "binding"),
    "specimen that is a device": (
        _HB, _set("specimen", to={"reference": "Device/1"}),
        "Observation.specimen.reference", "target"),
    "image of a year": (
        _IMAGE, _set("effectiveDateTime", to="2019"), "Observation.effective", "ips-1"),
    "image with members and components": (
        _IMAGE,
        _both(_set("hasMember", to=[{"reference": "Observation/1"}]),
              _set("component", to=[{"code": {"text": "x"}, "valueString": "y"}])),
        "Observation", "hasMemberOrComponent"),
    "medicine without a time": (
        _TAKES, _without("effectivePeriod"), "MedicationStatement.effective", "min"),
    "medicine of a group": (
        _TAKES, _set("subject", to={"reference": "Group/1"}),
        "MedicationStatement.subject", "target"),
    "order not to give": (
        _ORDER, _set("doNotPerform", to=True), "MedicationRequest.doNotPerform", "pattern"),
    "allergy to nothing": (_ALLERGY, _without("code"), "AllergyIntolerance.code", "min"),
    "allergy of nobody here": (
        _ALLERGY, _set("patient", to={"display": "x"}),
        "AllergyIntolerance.patient.reference", "min"),
    "condition without a code": (_CONDITION, _without("code"), "Condition.code", "min"),
    "condition of a group": (
        _CONDITION, _set("subject", to={"reference": "Group/1"}), "Condition.subject", "target"),
    "dose for nobody here": (
        _DOSE, _set("patient", to={"display": "x"}), "Immunization.patient.reference", "min"),
    "alert that is over": ("Flag-546482", _set("status", to="inactive"), "Flag.status", "fixed"),
    "procedure without a time": (
        "Procedure-eumfh-39-07-1", _without("_performedDateTime"), "Procedure.performed", "min"),
    "organization without a name": (
        "Organization-simple-org",
        _both(_without("name"), _set("identifier", to=[{"value": "1"}])),
        "Organization.name", "min"),
    "report entered in error": (
        _REPORT, _set("status", to="entered-in-error"), "DiagnosticReport.status", "binding"),
    "report without a time": (
        _REPORT, _without("effectiveDateTime"), "DiagnosticReport.effective", "min"),
    "use without a time": (_USE, _without("_timingDateTime"), "DeviceUseStatement.timing", "min"),
    "specimen of no type": (
        "Specimen-specimen-example-1", _without("type"), "Specimen.type", "min"),
    "display of a coding as a number": (
        _CONDITION,
        _set("code", "coding", 0, "_display", to={"extension": _extension(
            "data-absent-reason", valueString="x")}),
        "Condition.code.coding[0].display.extension[0].value", "type"),
    "birth place of an observation": (
        _HB, _set("extension", to=_extension("patient-birthPlace", valueAddress={"text": "x"})),
        "Observation.extension[0]", "extension"),
    "document that is a collection": (
        _DOCUMENT, _set("type", to="collection"), "Bundle.type", "fixed"),
    "document without an identifier": (
        _DOCUMENT, _without("identifier"), "Bundle.identifier", "min"),
    "document without a time": (_DOCUMENT, _without("timestamp"), "Bundle.timestamp", "min"),
    "entry without an address": (
        _DOCUMENT, _without("entry", 1, "fullUrl"), "Bundle.entry[1].fullUrl", "min"),
    "entry that was searched for": (
        _DOCUMENT, _set("entry", 1, "search", to={"mode": "match"}),
        "Bundle.entry[1].search", "max"),
    "two compositions": (
        _DOCUMENT,
        lambda bundle: bundle["entry"].append(
            {**deepcopy(bundle["entry"][0]), "fullUrl": "urn:uuid:" + "0" * 8 + "-0000-4000-8000-"
             + "0" * 12}),
        "Bundle", "bdl-ips-1"),
    "section that is missing": (
        _DOCUMENT, _without("entry", 0, "resource", "section", 0), f"{_IN}.section", "slice"),
    "section of other things": (
        _DOCUMENT,
        lambda bundle: bundle["entry"][0]["resource"]["section"][0].update(
            entry=[{"reference": bundle["entry"][1]["fullUrl"]}]),
        f"{_IN}.section[0].entry[0]", "target"),
    "section with neither entries nor a reason": (
        _DOCUMENT, _without("entry", 0, "resource", "section", 0, "entry"),
        f"{_IN}.section[0]", "ips-comp-1"),
    "section without a text": (
        _DOCUMENT, _without("entry", 0, "resource", "section", 0, "text"),
        f"{_IN}.section[0].text", "min"),
    "composition of another type": (
        _DOCUMENT, _set("entry", 0, "resource", "type", to=_coded("34133-9")),
        f"{_IN}.type", "pattern"),
    "patient of the document without a name": (
        _DOCUMENT, _without("entry", 1, "resource", "name"),
        "Bundle.entry[1].resource.name", "min"),
}  # fmt: skip


@pytest.mark.parametrize("what", BREACHES)
def test_a_breach_is_found_where_it_is(what: str) -> None:
    example, change, place, rule = BREACHES[what]
    broken = deepcopy(_examples()[example])
    change(broken)
    issues = _rulebook().check(broken, profiles=tuple(broken["meta"]["profile"]))
    found = {(one.expression[0], one.rule) for one in issues if one.severity == "error"}
    assert (place, rule) in found, found
