"""Exports the record as NDJSON, one file after another: the bulk data way, in the background.

python export.py [--out export] [--type Patient,Observation] [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import httpx


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=options.base, timeout=60) as record:
        status_url = start(record, options.type)
        manifest = wait(record, status_url)
        counts: dict[str, int] = {}
        for number, part in enumerate(manifest["output"]):
            file = options.out / f"{part['type']}.{number}.ndjson"
            counts[part["type"]] = counts.get(part["type"], 0) + download(record, part["url"], file)
        record.delete(status_url).raise_for_status()  # the server may drop its files now
    for type_name, count in sorted(counts.items()):
        print(type_name, count)
    print("as of", manifest["transactionTime"])


def start(record: httpx.Client, types: str | None) -> str:
    """Starts an export; the address where its status is told."""
    headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
    answer = record.get("/$export", params={"_type": types} if types else {}, headers=headers)
    answer.raise_for_status()
    return answer.headers["Content-Location"]


def wait(record: httpx.Client, status_url: str) -> dict[str, Any]:
    """The manifest, once the export is complete; until then 202 tells how far it is."""
    while True:
        answer = record.get(status_url)
        answer.raise_for_status()
        if answer.status_code == 200:
            manifest: dict[str, Any] = answer.json()
            return manifest
        time.sleep(min(5.0, float(answer.headers.get("Retry-After", "1"))))


def download(record: httpx.Client, url: str, file: Path) -> int:
    """Writes a part to a file as it comes; the number of its resources."""
    with record.stream("GET", url) as answer, file.open("wb") as to:
        answer.raise_for_status()
        lines = 0
        for chunk in answer.iter_bytes():
            to.write(chunk)
            lines += chunk.count(b"\n")
    return lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("export"), help="folder for the files")
    parser.add_argument("--type", help="resource types, separated by commas; all by default")
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
