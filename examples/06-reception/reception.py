"""Looks up who stands at the desk, by whatever is on the table.

python reception.py [number ...] [--guardian number] [--base http://127.0.0.1:8080/fhir]

Without numbers it stores two made-up people, a mother and her newborn child, and looks for them by
everything that they may show. Several records found are told, not chosen from.
"""

import argparse
import os
from collections.abc import Iterator
from typing import Any

import httpx

CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"
CMND = "http://fhir.hl7.org.vn/core/sid/cmnd"
BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"
BIRTH = "http://ehr-server.org/fhir/vn/sid/birth-certificate"
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"

BY_GUARDIAN = "_has:RelatedPerson:patient:identifier"

MOTHER = {
    "resourceType": "Patient",
    "identifier": [
        {"system": CCCD, "value": "001192000601"},
        {"system": CMND, "value": "012000601", "use": "old"},
        {"system": BHYT, "value": "GD4010192000601"},
    ],
    "name": [{"text": "Lê Thị Mai"}],
    "gender": "female",
    "birthDate": "1992-04-18",
}
CHILD = {
    "resourceType": "Patient",
    "identifier": [{"system": BIRTH, "value": "01557.2026.000601"}],
    "name": [{"text": "Con bà Lê Thị Mai"}],
    "gender": "male",
    "birthDate": "2026-08-30",
}
# What they may show, and what is sent for it.
SHOWN = (
    ("CCCD", "identifier", f"{CCCD}|001192000601"),
    ("CCCD as it was typed", "identifier", f"{CCCD}|001 192 000 601"),
    ("BHYT card", "identifier", f"{BHYT}|GD4010192000601"),
    ("last ten digits of the card", "identifier", f"{BHYT}|0192000601"),
    ("a number, of whatever kind", "identifier", "001192000601"),
    ("old number", "identifier", f"{CMND}|012000601"),
    ("birth certificate", "identifier", f"{BIRTH}|01557.2026.000601"),
    ("child, by the mother's CCCD", BY_GUARDIAN, f"{CCCD}|001192000601"),
)


def main() -> None:
    options = _options()
    with httpx.Client(base_url=options.base, timeout=30) as record:
        asked = [("number", "identifier", number) for number in options.numbers]
        asked += [("guardian", BY_GUARDIAN, number) for number in options.guardian]
        if not asked:
            store(record)
            asked = list(SHOWN)
        for label, parameter, value in asked:
            found = list(find(record, parameter, value))
            names = "; ".join(f"{one['name'][0]['text']} {one['birthDate']}" for one in found)
            print(f"{label}: {names or 'nobody'}")


def find(record: httpx.Client, parameter: str, value: str) -> Iterator[dict[str, Any]]:
    """The Patients who are meant, on all pages.

    By POST: a number in an address would end up in the logs of every proxy. The links of the answer
    do not show it, so they are followed as they stand.
    """
    answer = record.post("/Patient/_search", data={parameter: value})
    while True:
        answer.raise_for_status()
        page = answer.json()
        yield from (entry["resource"] for entry in page.get("entry", ()))
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            return
        answer = record.get(following[0])


def store(record: httpx.Client) -> None:
    """The mother, the child, and that she is the child's mother: once, however often it runs."""
    related = {
        "resourceType": "RelatedPerson",
        "identifier": [{"system": CCCD, "value": "001192000601"}],
        "patient": {"reference": "urn:uuid:6f0d4c50-51c9-4f2f-9a3e-1d6f6c7a0602"},
        "relationship": [{"coding": [{"system": ROLES, "code": "MTH"}]}],
        "name": [{"text": "Lê Thị Mai"}],
    }
    entries = [
        _once(MOTHER, f"{CCCD}|001192000601"),
        {
            "fullUrl": "urn:uuid:6f0d4c50-51c9-4f2f-9a3e-1d6f6c7a0602",
            **_once(CHILD, f"{BIRTH}|01557.2026.000601"),
        },
        _once(related, f"{CCCD}|001192000601"),
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    record.post("", json=bundle).raise_for_status()


def _once(resource: dict[str, Any], number: str) -> dict[str, Any]:
    asked = {"method": "POST", "url": resource["resourceType"]}
    return {"resource": resource, "request": {**asked, "ifNoneExist": f"identifier={number}"}}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", help="as typed or scanned; system|number if known")
    parser.add_argument("--guardian", action="append", default=[], help="of the child looked for")
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
