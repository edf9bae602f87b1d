"""The quick look at profiles never lets pass what the full one finds fault with.

Seeded damage to the examples of the local profiles, and to what their documents hold. A failure
prints the example and the seed: `mutated(example, seed)` is the resource.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ehr_server.fhir import json
from ehr_server.validation.rulebook import Rulebook
from properties.gate_mutations import mutated

_EXAMPLES = Path(__file__).parents[2] / "profiles" / "vn" / "examples"

Resource = dict[str, Any]


def _examples() -> Iterator[tuple[str, Resource]]:
    for path in sorted(_EXAMPLES.glob("*/*.json")):
        value = json.read(path.read_bytes())
        example = value.get("resource", value)
        yield path.stem, example
        for at, entry in enumerate(example.get("entry", ())):
            if "resource" in entry:
                yield f"{path.stem}[{at}]", entry["resource"]


def _disagreements(seeds: range) -> tuple[list[str], int, int]:
    """Name and seed of each resource that only the quick look accepts; how many only it refuses;
    how many nobody finds fault with."""
    rulebook = Rulebook()
    lax = []
    strict = clean = 0
    for name, example in _examples():
        for seed in seeds:
            resource = mutated(example, seed) if seed else example
            passed = rulebook._passes(resource, None)
            findings = list(rulebook._findings(resource, (), None))
            if passed and findings:
                lax.append(f"{name} {seed}: {findings[0]}")
            strict += not passed and not findings
            clean += not findings
    return lax, strict, clean


def test_the_quick_look_is_never_laxer() -> None:
    lax, strict, clean = _disagreements(range(15))
    assert lax == []
    assert clean > 500
    assert strict < clean / 3  # each costs a full look, no more; much of the damage is rare


@pytest.mark.slow
def test_the_quick_look_is_never_laxer_in_100_000_resources() -> None:
    count = sum(1 for _ in _examples())
    lax, _, _ = _disagreements(range(1_000, 1_000 + 100_000 // count))
    assert lax == []
