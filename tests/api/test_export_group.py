"""$export of a Group: https://hl7.org/fhir/uv/bulkdata/export.html#endpoint---group-of-patients

A file of its own, beside that of $export: who belongs to a Group is a matter by itself.
"""

from typing import Any

import httpx
import pytest

from api.exports import ASYNC, LENIENT, exported, finished, names, posted, put, resources
from api.merges import merged
from api.patients import resident, weight
from servers import serving

MEMBER_FILTER = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter"


def test_all_that_pertains_to_the_members_and_nothing_of_others(client: httpx.Client) -> None:
    """ "FHIR Operation to obtain a detailed set of FHIR resources of diverse resource types
    pertaining to all members of a specified Group"."""
    _persons(client, "g1a", "g1b", "g1c")
    put(client, _group("g1", "g1a", "g1b"))
    manifest = exported(client, "/Group/g1/$export")
    assert names(client, manifest) == [
        "Group/g1",
        "Observation/g1a-w",
        "Observation/g1b-w",
        "Patient/g1a",
        "Patient/g1b",
    ]
    assert names(client, posted(client, "/Group/g1/$export")) == names(client, manifest)


def test_members_who_left_are_none(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/group-definitions.html#Group.member.inactive: "A flag to indicate
    that the member is no longer in the group"; a period that ended says the same."""
    _persons(client, "g2a", "g2b", "g2c", "g2d")
    group = _group("g2", "g2a", "g2b", "g2c", "g2d")
    group["member"][1]["inactive"] = True
    group["member"][2]["period"] = {"end": "2020-12-31"}
    group["member"][3]["period"] = {"start": "2020-01-01", "end": "2999"}
    put(client, group)
    assert _patients(client, "g2") == ["Patient/g2a", "Patient/g2d"]


def test_members_that_are_groups(client: httpx.Client) -> None:
    _persons(client, "g3a", "g3b")
    put(client, _group("g3-inner", "g3a"), _group("g3", "g3b", group="g3-inner"))
    assert _patients(client, "g3") == ["Patient/g3a", "Patient/g3b"]


def test_a_ring_of_groups_is_refused(client: httpx.Client) -> None:
    put(client, _group("ring-a"))
    put(client, _group("ring-b", group="ring-a"), _group("ring-a", group="ring-b"))
    refused = client.get("/Group/ring-a/$export", headers=ASYNC)
    assert refused.status_code == 422
    assert "Group/ring-a is a member of itself" in refused.json()["issue"][0]["diagnostics"]


def test_a_member_who_was_merged_comes_with_all_records(client: httpx.Client) -> None:
    source, target = (client.post("/Patient", json=resident()).json()["id"] for _ in range(2))
    merged(client, source, target)
    put(client, _group("g4", source))
    assert _patients(client, "g4") == sorted([f"Patient/{source}", f"Patient/{target}"])


def test_a_search_names_the_members(client: httpx.Client) -> None:
    """ "the expression in the member-filter extension SHALL be applied to all of the Patient
    resources and Patient compartments the client is authorized to access"; of several "resources
    that meet the conditions in all of the expressions"."""
    _persons(client, "g5a", "g5b", "g5c")
    put(client, _condition("g5a"), _condition("g5b"))
    put(client, _weighed("g5b", "99.00"), _weighed("g5c", "98.00"))
    heavy = "Observation?code=http://loinc.org|29463-7&value-quantity=gt90&subject=Patient/g5b,Patient/g5c"
    ill = "Condition?code=http://hl7.org/fhir/sid/icd-10|E11.9"
    put(client, _filtered("g5", heavy), _filtered("g5-both", heavy, ill))
    assert _patients(client, "g5") == ["Patient/g5b", "Patient/g5c"]
    assert _patients(client, "g5-both") == ["Patient/g5b"]


def test_a_search_among_those_who_are_listed(client: httpx.Client) -> None:
    """ "When members are provided, the expression [...] SHALL only be applied to the referenced
    resources and the compartments of the referenced resources, and the resources and compartments
    of the members of any referenced Groups"."""
    _persons(client, "g6a", "g6b", "g6c")
    put(client, *(_condition(one) for one in ("g6a", "g6b", "g6c")))
    put(client, _group("g6-inner", "g6a"))
    ill = "Condition?code=E11.9"
    filtered = _filtered("g6", ill) | {"actual": True}
    filtered["member"] = _group("", "g6b", group="g6-inner")["member"]
    put(client, filtered)
    assert _patients(client, "g6") == ["Patient/g6a", "Patient/g6b"]


def test_a_search_is_resolved_anew_for_each_export(client: httpx.Client) -> None:
    _persons(client, "g7a", "g7b")
    put(client, _filtered("g7", "Patient?_id=g7a,g7b&gender=female"))
    assert _patients(client, "g7") == ["Patient/g7a", "Patient/g7b"]
    put(client, resident(id="g7b", gender="male"))
    assert _patients(client, "g7") == ["Patient/g7a"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"actual": False}, "actual"),
        ({"type": "device"}, "no group of persons"),
        ({"modifierExtension": [{"url": "http://x.vn/m", "valueBoolean": True}]}, MEMBER_FILTER),
        ({"member": [{"entity": {"reference": "Practitioner/d"}}]}, "no Patient and no Group"),
        ({"modifierExtension": ["Organization?name=x"]}, "not of Patients"),
        ({"modifierExtension": ["Condition?_sort=code"]}, "_sort"),
        ({"modifierExtension": ["Condition?nonsense=1"]}, "nonsense"),
    ],
)
def test_a_group_that_cannot_be_resolved_is_refused(
    client: httpx.Client, more: dict[str, Any], said: str
) -> None:
    put(client, {"resourceType": "Practitioner", "id": "d"})
    texts = more.get("modifierExtension", ())
    if texts and isinstance(texts[0], str):
        more = _filtered("", *texts)
    put(client, _group("odd") | more | {"id": "odd"})
    refused = client.get("/Group/odd/$export", headers=ASYNC)
    assert refused.status_code == 422, refused.text
    assert said in refused.text


def test_a_group_that_is_not_there_is_404(client: httpx.Client) -> None:
    assert client.get("/Group/nothing/$export", headers=ASYNC).status_code == 404


def test_patients_within_the_group(client: httpx.Client) -> None:
    """ "the Data Provider SHALL NOT return resources in the patient compartments belonging to
    patients outside of this list. If a Data Consumer requests patients who are not present on the
    Data Provider (or in the case of a group level export, who are not members of the group), the
    Data Provider SHOULD return details via a FHIR OperationOutcome resource in an error
    response"."""
    _persons(client, "g8a", "g8b", "g8c")
    put(client, _group("g8", "g8a", "g8b"))
    one = ("patient", "valueReference", {"reference": "Patient/g8a"})
    assert names(client, posted(client, "/Group/g8/$export", one)) == [
        "Group/g8",
        "Observation/g8a-w",
        "Patient/g8a",
    ]
    query = {"patient": "Patient/g8a,Patient/g8c,Patient/nobody"}
    refused = client.get("/Group/g8/$export", params=query, headers=ASYNC)
    assert refused.status_code == 400
    assert "Patient/g8c, Patient/nobody" in refused.json()["issue"][0]["diagnostics"]
    lenient = client.get("/Group/g8/$export", params=query, headers=LENIENT)
    manifest = finished(client, lenient)
    assert "Patient/g8c" not in names(client, manifest)
    (told,) = resources(client, manifest, "error")
    assert "Patient/g8c, Patient/nobody" in told["issue"][0]["diagnostics"]
    assert manifest["outcome"] == manifest["error"]


def test_what_belongs_to_several_comes_once(client: httpx.Client) -> None:
    """An Appointment is in the compartments of all who take part, and at home in one: it comes for
    any of them, and once for all."""
    _persons(client, "g9a", "g9b", "g9c")
    parts = [
        {"actor": {"reference": f"Patient/{one}"}, "status": "accepted"}
        for one in ("g9a", "g9b", "g9c")
    ]
    put(
        client,
        {"resourceType": "Appointment", "id": "g9", "status": "proposed", "participant": parts},
        _group("g9-all", "g9a", "g9b", "g9c"),
        _group("g9-last", "g9c"),
        _group("g9-two", "g9c", "g9b"),
    )
    for group in ("g9-all", "g9-last", "g9-two"):
        manifest = exported(client, f"/Group/{group}/$export", _type="Appointment")
        assert names(client, manifest) == ["Appointment/g9"], group


def test_an_empty_group(client: httpx.Client) -> None:
    put(client, _group("g10"))
    manifest = exported(client, "/Group/g10/$export")
    assert manifest["output"] == []
    lenient = client.get("/Group/g10/$export?_nonsense=1", headers=LENIENT)
    (told,) = resources(client, finished(client, lenient), "error")
    assert "_nonsense" in told["issue"][0]["diagnostics"]


def test_since(client: httpx.Client) -> None:
    _persons(client, "g11a", "g11b")
    put(client, _group("g11", "g11a"))
    first = exported(client, "/Group/g11/$export")
    put(client, _weighed("g11a", "51.00"), _weighed("g11b", "51.00"))
    client.delete("/Observation/g11a-w")
    client.delete("/Observation/g11b-w")
    second = exported(client, "/Group/g11/$export", _since=first["transactionTime"])
    assert names(client, second) == []
    (gone,) = resources(client, second, "deleted")
    assert gone["entry"][0]["request"]["url"] == "Observation/g11a-w"


def _persons(client: httpx.Client, *ids: str) -> None:
    """Each with a weight."""
    put(client, *(resident(id=id_) for id_ in ids))
    put(client, *(weight(f"Patient/{id_}") | {"id": f"{id_}-w"} for id_ in ids))


def _weighed(id_: str, value: str) -> dict[str, Any]:
    return weight(f"Patient/{id_}", value) | {"id": f"{id_}-w"}


def _condition(id_: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"{id_}-c",
        "subject": {"reference": f"Patient/{id_}"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]},
    }


def _group(id_: str, *patients: str, group: str = "") -> dict[str, Any]:
    references = [f"Patient/{one}" for one in patients] + ([f"Group/{group}"] if group else [])
    members = [{"entity": {"reference": one}} for one in references]
    found = {"resourceType": "Group", "id": id_, "type": "person", "actual": True}
    return found | ({"member": members} if members else {})


def _filtered(id_: str, *texts: str) -> dict[str, Any]:
    extensions = [
        {
            "url": MEMBER_FILTER,
            "valueExpression": {"language": "application/x-fhir-query", "expression": text},
        }
        for text in texts
    ]
    return _group(id_) | {"actual": False, "modifierExtension": extensions}


def _patients(client: httpx.Client, group: str) -> list[str]:
    return names(client, exported(client, f"/Group/{group}/$export", _type="Patient"))


@pytest.fixture(scope="module")
def server(module_database: str, tmp_path_factory: pytest.TempPathFactory):
    with serving(module_database, export_dir=str(tmp_path_factory.mktemp("export"))) as started:
        yield started
