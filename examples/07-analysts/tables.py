"""Fetches the rows of views as Parquet files, a table for each ViewDefinition in a folder.

python tables.py [--out tables] [--views views] [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    views = [json.loads(path.read_bytes()) for path in sorted(options.views.glob("*.json"))]
    with httpx.Client(base_url=options.base, timeout=60) as record:
        status_url = start(record, views)
        for output in wait(record, status_url):
            name, *locations = output["part"]
            for number, location in enumerate(locations):
                file = options.out / f"{name['valueString']}.{number}.parquet"
                with record.stream("GET", location["valueUri"]) as answer, file.open("wb") as to:
                    answer.raise_for_status()
                    for chunk in answer.iter_bytes():
                        to.write(chunk)
                print(file.name)
        record.delete(status_url).raise_for_status()  # the server may drop its files now


def start(record: httpx.Client, views: list[dict[str, Any]]) -> str:
    """Starts an export of views; the address where its status is told."""
    parts = [{"name": "view", "part": [{"name": "viewResource", "resource": v}]} for v in views]
    wanted = [*parts, {"name": "_format", "valueCode": "parquet"}]
    answer = record.post(
        "/$viewdefinition-export",
        json={"resourceType": "Parameters", "parameter": wanted},
        headers={"Prefer": "respond-async"},
    )
    answer.raise_for_status()
    return answer.headers["Content-Location"]


def wait(record: httpx.Client, status_url: str) -> list[dict[str, Any]]:
    """The outputs, once the export is complete: then the status leads to the result."""
    while True:
        answer = record.get(status_url)
        if answer.status_code == 303:
            result = record.get(answer.headers["Location"])
            result.raise_for_status()
            return [one for one in result.json()["parameter"] if one["name"] == "output"]
        answer.raise_for_status()
        time.sleep(min(5.0, float(answer.headers.get("Retry-After", "1"))))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("tables"), help="folder for the files")
    parser.add_argument("--views", type=Path, default=HERE / "views", help="folder of the views")
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
