"""Writes docs/reference/refused-examples.md: the published R4 examples that are refused, and why.

    python tools/make_refused_examples.py --cache cache

Read from `hl7.fhir.r4.examples`, which `tools/make_definitions.py` fetches. The words are those of
the validation; what breaks is confirmed by a second check in `tests/spec/test_refused_examples.py`.
"""

from __future__ import annotations

import argparse
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import is_valid
from ehr_server.validation.rules.corrected import CORRECTED

PACKAGE = "hl7.fhir.r4.examples-4.0.1.tgz"
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "refused-examples.md"
_INDEX = re.compile(r"\[\d+\]")


def main() -> None:
    parser = argparse.ArgumentParser(description="list the published examples that are refused")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of the packages")
    PAGE.write_text(page(parser.parse_args().cache / PACKAGE), encoding="utf-8")


def page(package: Path) -> str:
    """The page in Markdown."""
    rows = [
        f"| {name} | `{rule}` | `{place}`{f' ({count} times)' if count > 1 else ''} | {text} |"
        for name, resource in examples(package)
        for (rule, place, text), count in _counted(refusals(resource)).items()
    ]
    corrected = [
        f"| `{key}` | {type_name} | `{_cell(one.published)}` | `{_cell(one.expression)}` "
        f"| {_cell(one.why)} |"
        for (type_name, key), one in CORRECTED.items()
    ]
    return "\n".join(
        [
            "# Published examples that are refused",
            "Made by `tools/make_refused_examples.py`. Each breaks the standard that publishes it; "
            "`tests/spec/test_refused_examples.py` confirms each by other means than ours.",
            "",
            "| file | rule | location | what is broken |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Invariants whose published expression is faulty",
            "",
            "| key | type | published | asked here | why |",
            "|---|---|---|---|---|",
            *corrected,
            "",
        ]
    )


def examples(package: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """File names without ending, and resources, sorted by name."""
    with tarfile.open(package) as tar:
        for member in sorted(tar.getmembers(), key=lambda one: one.name):
            path = Path(member.name)
            if path.suffix != ".json" or path.name.startswith(".") or path.stem == "package":
                continue
            stream = tar.extractfile(member)
            if stream is not None:
                yield path.stem, json.read(stream.read())


def refusals(resource: dict[str, Any]) -> list[Issue]:
    """What is wrong with the resource by the standard."""
    return [] if is_valid(resource) else explain(resource)


def _counted(issues: list[Issue]) -> dict[tuple[str, str, str], int]:
    """Rule, place without positions, text; and how often."""
    found: dict[tuple[str, str, str], int] = {}
    for issue in issues:
        key = (issue.rule or issue.code, _INDEX.sub("", issue.expression[0]), _cell(issue.text))
        found[key] = found.get(key, 0) + 1
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
