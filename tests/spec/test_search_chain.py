"""https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has and
https://hl7.org/fhir/R4/search.html#list, with the forms of references that they go along."""

from typing import Any

import pytest

from ehr_server.access import directories
from searching import HERE, Record

covers = pytest.mark.covers

LOINC = "http://loinc.org"


def _concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


def _to(reference: str | None) -> dict[str, Any]:
    return {"reference": reference}


def _patient(id_: str, family: str, **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": family}], **rest}


def _observation(id_: str, code: str, subject: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": _concept(code),
        "subject": _to(subject), **rest,
    }  # fmt: skip


def _encounter(id_: str, patient: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter", "id": id_, "status": "finished", "class": {"code": "AMB"},
        "subject": _to(patient), **rest,
    }  # fmt: skip


def _list(id_: str, *items: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "List", "id": id_, "status": "current", "mode": "working",
        "entry": [{"item": _to(item)} for item in items], **rest,
    }  # fmt: skip


RECORD = [
    {"resourceType": "Organization", "id": "ministry", "name": "Bộ Y tế"},
    {
        "resourceType": "Organization", "id": "hospital", "name": "Bạch Mai",
        "partOf": _to("Organization/ministry"),
        "identifier": [{"system": "http://x.org/o", "value": "BM"}],
    },
    {"resourceType": "Organization", "id": "clinic", "name": "Bình Minh"},
    {"resourceType": "Practitioner", "id": "lan", "name": [{"family": "Lan"}], "gender": "female"},
    {"resourceType": "Practitioner", "id": "minh", "name": [{"family": "Minh"}]},
    {"resourceType": "Device", "id": "cuff", "identifier": [{"value": "hoa"}]},
    {"resourceType": "Group", "id": "ward", "type": "person", "actual": True, "code": {
        "coding": [{"code": "hoa"}]}, "member": [{"entity": _to("Patient/hoa")}]},
    _patient("hoa", "Hoa", managingOrganization=_to("Organization/hospital"), gender="female",
             generalPractitioner=[_to("Practitioner/lan"), _to("Organization/clinic")]),
    _patient("nam", "Nam", managingOrganization=_to("Organization/clinic"), gender="male",
             generalPractitioner=[_to("Practitioner/minh")]),
    _patient("mai", "Mai", link=[{"other": _to("Patient/nam"), "type": "seealso"}]),
    _encounter("e-hoa", "Patient/hoa", serviceProvider=_to("Organization/hospital")),
    _encounter("e-nam", f"{HERE}/Patient/nam", serviceProvider=_to("Organization/clinic")),
    _observation("sugar", "2339-0", "Patient/hoa", encounter=_to("Encounter/e-hoa"),
                 performer=[_to("Practitioner/lan")], device=_to("Device/cuff")),
    _observation("pulse", "8867-4", "Patient/nam", encounter=_to("Encounter/e-nam"),
                 performer=[_to("Practitioner/lan"), _to("Organization/clinic")]),
    _observation("absolute", "2339-0", f"{HERE}/Patient/nam"),
    _observation("versioned", "8867-4", "Patient/hoa/_history/1"),
    _observation("elsewhere", "2339-0", "http://there/fhir/Patient/hoa"),
    _observation("device", "2339-0", "Device/cuff"),
    _observation("group", "2339-0", "Group/ward"),
    _observation("dangling", "2339-0", "Patient/gone"),
    # in the compartment of mai, who measured it, but not about her
    _observation("by-mai", "2339-0", "Device/cuff", performer=[_to("Patient/mai")]),
    {
        "resourceType": "DiagnosticReport", "id": "report", "status": "final",
        "code": _concept("r"), "subject": _to("Patient/hoa"), "result": [_to("Observation/sugar")],
    },
    _list("few", "Patient/hoa", "Observation/pulse"),
    _list("many", "Patient/hoa", "Patient/nam", f"{HERE}/Observation/sugar", "Patient/gone"),
    _list("none"),
]  # fmt: skip
del RECORD[-1]["entry"]

HISTORY = {"sugar", "versioned"}  # what is about hoa
OF_NAM = {"pulse", "absolute"}


def check(here: Record, address: str, ids: set[str]) -> None:
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"{address}&_count=0")).total == len(ids)


@pytest.fixture(params=["looked up first", "in one statement"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to follow a chain, which must find the same."""
    if request.param == "in one statement":
        monkeypatch.setattr(directories, "REACHED_MAX", 0)


@pytest.mark.usefixtures("way")
@covers("reference", "chain")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Observation?subject:Patient.name=hoa", HISTORY),
        ("Observation?subject:Patient.name=hoa,nam", HISTORY | OF_NAM),
        ("Observation?subject:Patient.name=x", set()),
        ("Observation?patient.name=nam", OF_NAM),
        # "any of the possible types": those that have such a parameter
        ("Observation?subject.name=hoa", HISTORY),
        ("Observation?subject.identifier=hoa", {"device", "by-mai"}),
        ("Observation?subject.code=hoa", {"group"}),
        ("Observation?performer.name=lan", {"sugar", "pulse"}),
        ("Observation?performer.name=binh", {"pulse"}),
        ("Observation?performer:Organization.name=lan", set()),
        ("Observation?subject:Patient._id=hoa", HISTORY),
        ("Observation?subject:Patient.gender=female", HISTORY),
        ("Observation?subject:Patient.gender:not=female", OF_NAM),
        ("Observation?subject:Patient.gender:missing=true", set()),
        ("Observation?subject:Patient.name:exact=Hoa", HISTORY),
        ("Observation?subject:Patient.name:exact=hoa", set()),
        # links upon links
        ("Observation?subject:Patient.organization.name=bach", HISTORY),
        ("Observation?subject:Patient.organization.partof.name=bo y", HISTORY),
        ("Observation?encounter.service-provider.name=binh", {"pulse"}),
        ("Observation?encounter.subject:Patient.general-practitioner.name=minh", {"pulse"}),
        ("Observation?subject:Patient.general-practitioner.gender=female", HISTORY),
        ("DiagnosticReport?result.subject:Patient.name=hoa", {"report"}),
        ("DiagnosticReport?result.code=8867-4", set()),
        ("Patient?link.name=nam", {"mai"}),
        ("Patient?organization.identifier=http://x.org/o|BM", {"hoa"}),
        ("List?item:Patient.name=nam", {"many"}),
        ("List?item.code=8867-4", {"few"}),
        # several together, each evaluated by itself
        ("Observation?performer.name=lan&performer.name=binh", {"pulse"}),
        ("Observation?code=2339-0&subject:Patient.name=nam", {"absolute"}),
        ("Patient?general-practitioner.name=lan&general-practitioner.name=binh", {"hoa"}),
        # composites and more at the end of a chain
        ("DiagnosticReport?result.code-value-quantity=2339-0$gt1", set()),
        ("DiagnosticReport?result.device.identifier=hoa", {"report"}),
    ],
)
def test_a_chain_goes_along_references(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@pytest.mark.usefixtures("way")
@covers("reference", "_has")
@covers("every", "_has")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient?_has:Observation:patient:code=2339-0", {"hoa", "nam"}),
        ("Patient?_has:Observation:subject:code=8867-4", {"hoa", "nam"}),
        ("Patient?_has:Observation:patient:code=2339-0&gender=male", {"nam"}),
        ("Patient?_has:Observation:patient:code=x", set()),
        ("Patient?_has:Observation:patient:_id=versioned", {"hoa"}),
        ("Device?_has:Observation:subject:code=2339-0", {"cuff"}),
        ("Device?_has:Observation:device:code=2339-0", {"cuff"}),
        ("Group?_has:Observation:subject:code=2339-0", {"ward"}),
        ("Practitioner?_has:Observation:performer:code=8867-4", {"lan"}),
        ("Patient?_has:Observation:performer:code=2339-0", {"mai"}),
        ("Organization?_has:Observation:performer:code=8867-4", {"clinic"}),
        ("Organization?_has:Organization:partof:name=bach", {"ministry"}),
        ("Patient?_has:Patient:link:name=mai", {"nam"}),
        ("Patient?_has:Group:member:code=hoa", {"hoa"}),
        ("Encounter?_has:Observation:encounter:code=2339-0", {"e-hoa"}),
        # several: each may be met by another resource
        (
            "Patient?_has:Observation:patient:code=2339-0&_has:Observation:patient:code=8867-4",
            {"hoa", "nam"},
        ),
        ("Patient?_has:Observation:patient:code=2339-0,x", {"hoa", "nam"}),
        # within each other and with chains
        ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:code=r", {"hoa"}),
        ("Patient?_has:Observation:patient:performer.name=binh", {"nam"}),
        ("Patient?_has:Observation:patient:encounter.service-provider.name=bach", {"hoa"}),
        ("Observation?subject:Patient._has:Group:member:code=hoa", HISTORY),
        ("Organization?_has:Patient:organization:_has:Observation:patient:code=8867-4",
         {"hospital", "clinic"}),
        ("Patient?_has:Observation:patient:subject:Patient.gender=male", {"nam"}),
        ("Patient?_has:Observation:patient:code:not=2339-0", {"hoa", "nam"}),
        ("Patient?_has:Observation:patient:device:missing=false", {"hoa"}),
    ],
)  # fmt: skip
def test_has_asks_who_refers_to_it(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@pytest.mark.usefixtures("way")
@covers("reference", "_list")
@covers("every", "_list")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient?_list=few", {"hoa"}),
        ("Patient?_list=many", {"hoa", "nam"}),
        ("Patient?_list=few,none", {"hoa"}),
        ("Patient?_list=none", set()),
        ("Patient?_list=unknown", set()),
        ("Patient?_list=many&gender=male", {"nam"}),
        ("Patient?_list=few&_list=many", {"hoa"}),
        ("Observation?_list=few", {"pulse"}),
        ("Observation?_list=many", {"sugar"}),
        ("Encounter?_list=many", set()),
    ],
)
def test_list_finds_what_a_list_holds(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("reference", "value")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # https://hl7.org/fhir/R4/search.html#reference: an id, a type and an id, an address
        ("Observation?subject=hoa", HISTORY),
        ("Observation?subject=Patient/hoa", HISTORY),
        (f"Observation?subject={HERE}/Patient/hoa", HISTORY),
        ("Observation?subject=http://there/fhir/Patient/hoa", {"elsewhere"}),
        ("Observation?subject=Patient/gone", {"dangling"}),
        # https://hl7.org/fhir/R4/search.html#versions: one version, or whichever
        ("Observation?subject=Patient/hoa/_history/1", {"versioned"}),
        ("Observation?subject=Patient/hoa/_history/2", set()),
        (f"Observation?subject={HERE}/Patient/hoa/_history/1", {"versioned"}),
        ("Observation?subject=Patient/nam/_history/1", set()),
    ],
)
def test_a_reference_is_found_in_each_of_its_forms(
    here: Record, address: str, ids: set[str]
) -> None:
    check(here, address, ids)


def test_a_chain_follows_what_is_current(here: Record) -> None:
    """What was deleted, or is named otherwise now, is no longer found by it."""
    here.put(
        _patient("brief", "Thu"), _observation("of-brief", "2339-0", "Patient/brief"),
        _list("of-brief", "Patient/brief"),
    )  # fmt: skip
    assert here.ids("Observation?subject:Patient.name=thu") == ["of-brief"]
    assert here.ids("Patient?_has:Observation:patient:_id=of-brief") == ["brief"]
    assert here.ids("Patient?_list=of-brief") == ["brief"]
    here.put(_patient("brief", "Đông"))
    assert here.ids("Observation?subject:Patient.name=thu") == []
    assert here.ids("Observation?subject:Patient.name=dong") == ["of-brief"]
    here.delete("List", "of-brief")
    assert here.ids("Patient?_list=of-brief") == []
    here.delete("Observation", "of-brief")
    assert here.ids("Patient?_has:Observation:patient:_id=of-brief") == []
    here.put(_observation("of-brief", "2339-0", "Patient/hoa"))
    assert here.ids("Observation?subject:Patient.name=dong") == []
    here.delete("Observation", "of-brief")
    here.delete("Patient", "brief")
