"""$export of one patient, and of the patients named: `Patient/[id]/$export` is ours, `patient` the
guide's: https://hl7.org/fhir/uv/bulkdata/export.html#parameters"""

import httpx

from api.exports import ASYNC, exported, names, posted, put
from api.merges import merged
from api.patients import resident, weight


def test_one_person_and_no_other(client: httpx.Client) -> None:
    put(client, resident(id="a"), resident(id="b"))
    put(client, *(weight(f"Patient/{one}") | {"id": f"{one}-w"} for one in "ab"))
    manifest = exported(client, "/Patient/a/$export")
    assert names(client, manifest) == ["Observation/a-w", "Patient/a"]
    assert names(client, posted(client, "/Patient/a/$export")) == names(client, manifest)
    assert "/Patient/a/$export" in manifest["request"]


def test_all_records_of_who_was_merged(client: httpx.Client) -> None:
    source, target = (client.post("/Patient", json=resident()).json()["id"] for _ in range(2))
    put(client, weight(f"Patient/{source}") | {"id": "m-w"})
    merged(client, source, target)
    for one in (source, target):
        found = names(
            client, exported(client, f"/Patient/{one}/$export", _type="Patient,Observation")
        )
        assert found == sorted(["Observation/m-w", f"Patient/{source}", f"Patient/{target}"])


def test_who_is_not_there_is_404_and_who_was_deleted_410(client: httpx.Client) -> None:
    assert client.get("/Patient/nobody/$export", headers=ASYNC).status_code == 404
    put(client, resident(id="gone"))
    client.delete("/Patient/gone")
    assert client.get("/Patient/gone/$export", headers=ASYNC).status_code == 410


def test_the_patients_that_are_named(client: httpx.Client) -> None:
    """ "Not applicable to system level export requests. When provided, the Data Provider SHALL NOT
    return resources in the patient compartments belonging to patients outside of this list"."""
    put(client, *(resident(id=one) for one in ("p1", "p2", "p3")))
    several = [("patient", "valueReference", {"reference": f"Patient/p{n}"}) for n in (1, 3)]
    assert names(client, posted(client, "/Patient/$export", *several)) == [
        "Patient/p1",
        "Patient/p3",
    ]
    refused = client.get("/$export", params={"patient": "Patient/p1"}, headers=ASYNC)
    assert refused.status_code == 400
    assert "patient" in refused.json()["issue"][0]["diagnostics"]


def test_what_is_no_patient_is_refused_by_name(client: httpx.Client) -> None:
    for one in ("Practitioner/1", "p1", "http://elsewhere/Patient/p1"):
        refused = client.get("/Patient/$export", params={"patient": one}, headers=ASYNC)
        assert refused.status_code == 400, one
        assert refused.json()["issue"][0]["expression"] == ["patient"]
