"""Reads a person's medical history: visits, conditions, laboratory, blood pressure, all findings.

python history.py [CCCD] [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import os
from collections.abc import Iterator
from typing import Any

import httpx

CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"
LOINC = "http://loinc.org"

Resource = dict[str, Any]


def main() -> None:
    options = _options()
    with httpx.Client(base_url=options.base, timeout=30) as record:
        patient = _person(record, options.cccd)
        of_patient = {"patient": f"Patient/{patient['id']}"}
        print(patient["name"][0]["text"], patient["birthDate"])
        for visit in search(record, "Encounter", **of_patient, _sort="-date"):
            print("Visit     ", visit["period"]["start"], visit["serviceProvider"]["display"])
        for condition in search(record, "Condition", **of_patient):
            coding = condition["code"]["coding"][0]
            print("Condition ", coding["code"], coding["display"])
        for observation in newest(record, of_patient, f"{LOINC}|4548-4"):
            print("HbA1c     ", observation["effectiveDateTime"], _value(observation))
        for observation in newest(record, of_patient, f"{LOINC}|85354-9"):
            pressures = "/".join(_value(part) for part in observation["component"])
            print("Pressure  ", observation["effectiveDateTime"], pressures)
        findings = list(search(record, "Observation", **of_patient, _count="20"))
        print("Findings  ", len(findings))
        versions = record.get(f"/Patient/{patient['id']}/_history").json()["entry"]
        print("Versions  ", *(entry["resource"]["meta"]["versionId"] for entry in versions))


def search(record: httpx.Client, type_name: str, **criteria: str) -> Iterator[Resource]:
    """All matches of a search, page after page: a page names the next one in its links."""
    answer = record.get(f"/{type_name}", params=criteria)
    while True:
        answer.raise_for_status()
        page = answer.json()
        for entry in page.get("entry", []):
            yield entry["resource"]
        links = {link["relation"]: link["url"] for link in page["link"]}
        if "next" not in links:
            return
        answer = record.get(links["next"])


def newest(record: httpx.Client, of_patient: dict[str, str], code: str) -> list[Resource]:
    """The newest ten Observations of a code, the newest first."""
    criteria = {**of_patient, "code": code, "_sort": "-date", "_count": "10"}
    answer = record.get("/Observation", params=criteria)
    answer.raise_for_status()
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def _person(record: httpx.Client, cccd: str) -> Resource:
    answer = record.post("/Patient/_search", data={"identifier": f"{CCCD}|{cccd}"})
    answer.raise_for_status()
    found = answer.json().get("entry", [])
    if not found:
        raise SystemExit("No record bears this number. Run 01-checkup first.")
    resource: Resource = found[0]["resource"]
    return resource


def _value(observation: Resource) -> str:
    quantity = observation["valueQuantity"]
    return f"{quantity['value']} {quantity['unit']}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cccd", nargs="?", default="001174000456")
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
