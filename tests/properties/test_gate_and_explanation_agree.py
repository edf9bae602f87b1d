"""The gate never lets pass what the explanation refuses, and seldom refuses what it accepts.

Seeded damage to resources of all 146 types, made from the definitions. A failure prints the type
and the seed: `mutated(made(type, seed // 5), seed)` is the resource.
"""

import pytest

from ehr_server.definitions import definitions
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import is_valid
from properties.gate_mutations import mutated
from properties.gate_resources import made

_WHOLE = 5  # every fifth resource stays as it was made


def _disagreements(seeds: range) -> tuple[list[str], int, int]:
    """Type and seed of each resource that only the gate accepts; how many only it refuses; all."""
    lax = []
    strict = 0
    for type_name in definitions().resource_types:
        for seed in seeds:
            resource = made(type_name, seed // _WHOLE)
            if seed % _WHOLE:
                resource = mutated(resource, seed)
            passed, findings = is_valid(resource), explain(resource)
            if passed and findings:
                lax.append(f"{type_name} {seed}: {findings[0]}")
            strict += not passed and not findings
    return lax, strict, len(seeds) * len(definitions().resource_types)


def test_the_gate_is_never_laxer() -> None:
    lax, strict, total = _disagreements(range(30))
    assert lax == []
    assert strict < total / 4  # each costs a second look, no more; real data has far fewer


@pytest.mark.slow
def test_the_gate_is_never_laxer_in_100_000_resources() -> None:
    lax, _, _ = _disagreements(range(1_000, 1_700))
    assert lax == []


def test_most_made_resources_are_valid() -> None:
    types = definitions().resource_types
    valid = [name for name in types if not explain(made(name, 1))]
    assert len(valid) > 0.7 * len(types)


def test_damage_is_mostly_found() -> None:
    damaged = [mutated(made("Observation", seed), seed) for seed in range(200)]
    assert sum(bool(explain(resource)) for resource in damaged) > 100
