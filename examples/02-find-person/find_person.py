"""Finds a person by the number of the identity card (CCCD) or of the insurance card (BHYT).

python find_person.py [number] [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import os
import re
from typing import Any

import httpx

CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"
BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"


def main() -> None:
    options = _options()
    with httpx.Client(base_url=options.base, timeout=30) as record:
        for number in options.numbers:
            found = find(record, number)
            print(f"{number}: {len(found)} found")
            for person in found:
                born = person.get("birthDate")
                print(" ", person["name"][0]["text"], person.get("gender"), born, person["id"])


def find(record: httpx.Client, number: str) -> list[dict[str, Any]]:
    """The Patients who bear the number.

    It is searched by POST: a number in an address would end up in the logs of every proxy.
    """
    system = CCCD if re.fullmatch(r"\d{12}", number) else BHYT
    answer = record.post("/Patient/_search", data={"identifier": f"{system}|{number}"})
    answer.raise_for_status()
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", default=["001174000456", "GD4010112345678"])
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
