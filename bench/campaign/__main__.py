"""Writes a campaign: `PYTHONPATH=bench python -m campaign --residents 1000 --seed 1 --out DIR`.

With `--out` one file per Bundle, `bundle-000000.json` and on; without, NDJSON on standard output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from campaign import Plan, bundles
from ehr_server.fhir import json


def main() -> None:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--residents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--years", type=int, default=1, help="checkups a resident")
    parser.add_argument("--last-year", type=int, default=2026)
    parser.add_argument("--size", choices=("full", "short", "reception"), default="full")
    parser.add_argument("--dirty", type=float, default=0.0, help="share of badly written names")
    parser.add_argument("--out", type=Path, help="folder for the files")
    options = vars(parser.parse_args())
    out: Path | None = options.pop("out")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for number, bundle in enumerate(bundles(Plan(**options))):
        if out is None:
            sys.stdout.buffer.write(json.write(bundle) + b"\n")
        else:
            (out / f"bundle-{number:06d}.json").write_bytes(json.write(bundle))


if __name__ == "__main__":
    main()
