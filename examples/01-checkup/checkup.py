"""Pushes a health checkup to the record: one transaction, all of it or nothing.

python checkup.py [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import os
from pathlib import Path

import httpx

CHECKUP = Path(__file__).with_name("checkup.json")
VISIT = "http://fhir.hl7.org.vn/core/sid/ma-lk|01557.2026.0000456"


def main() -> None:
    with httpx.Client(base_url=_base(), timeout=30) as record:
        if _is_stored(record):
            print("The checkup is stored already; nothing was sent.")
            return
        answer = record.post(
            "",
            content=CHECKUP.read_bytes(),
            headers={"Content-Type": "application/fhir+json", "Accept-Language": "vi"},
        )
        if answer.status_code != 200:
            _explain(answer)
            raise SystemExit(1)
        for entry in answer.json()["entry"]:
            print(entry["response"]["status"], entry["response"]["location"])


def _is_stored(record: httpx.Client) -> bool:
    """Asks before sending: the answer to an earlier attempt may have been lost on its way."""
    answer = record.get(
        "/Encounter", params={"identifier": VISIT, "_count": 0, "_total": "accurate"}
    )
    answer.raise_for_status()
    return bool(answer.json()["total"])


def _explain(answer: httpx.Response) -> None:
    """Prints what is wrong and where, as the OperationOutcome tells it."""
    for issue in answer.json()["issue"]:
        print(issue["severity"], issue.get("expression", [""])[0], issue["details"]["text"])


def _base() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return str(parser.parse_args().base)


if __name__ == "__main__":
    main()
