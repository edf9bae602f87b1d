"""The quick look at profiles never lets pass what the full one finds fault with.

Seeded damage to the examples of the local profiles and of the IPS (whose package is read from
`cache/`), and to what their documents hold. A failure prints the example and the seed:
`mutated(example, seed)` is the resource.
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ehr_server.definitions.catalog import shipped
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.packages.read import read
from ehr_server.validation import gate, identifiers
from ehr_server.validation.explain import explain
from ehr_server.validation.inside import is_resource, resources
from ehr_server.validation.policy import Policy
from ehr_server.validation.profiles.around import NOTHING, Around
from ehr_server.validation.rulebook import Rulebook
from properties.gate_mutations import mutated

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "profiles" / "vn" / "examples"
_QUICK_LOOK = "ehr_server.validation.profiles.compile._quick_look"
_IPS = _ROOT / "cache" / "hl7.fhir.uv.ips-2.0.0.tgz"

Resource = dict[str, Any]


def _examples() -> Iterator[tuple[str, Resource]]:
    for path in sorted(_EXAMPLES.glob("*/*.json")):
        value = json.read(path.read_bytes())
        yield from _parts(path.stem, value.get("resource", value))


def _published() -> Iterator[tuple[str, Resource]]:
    with tarfile.open(_IPS) as tar:
        for member in tar:
            stream = tar.extractfile(member) if "/example/" in member.name else None
            value = json.read(stream.read()) if stream is not None else {}
            if "profile" in value.get("meta", {}):
                yield from _parts(Path(member.name).stem, value)


def _parts(name: str, example: Resource) -> Iterator[tuple[str, Resource]]:
    yield name, example
    for at, entry in enumerate(example.get("entry", ())):
        if "resource" in entry:
            yield f"{name}[{at}]", entry["resource"]


def _full(rulebook: Rulebook, resource: Resource) -> Iterator[Issue]:
    """All findings, none of the checks left out because a quick look said yes."""
    if not gate.is_valid(resource):
        yield from explain(resource)
    if not is_resource(resource):
        return
    for one in resources(resource, NOTHING):
        for held, _ in rulebook.applying.to(one.resource):
            yield from rulebook._tried(one, held)
        yield from identifiers.findings(one.resource)


def _disagreements(
    rulebook: Rulebook, examples: Iterable[tuple[str, Resource]], seeds: range
) -> tuple[list[str], int, int]:
    """Name and seed of each resource that only the quick look accepts; how many only it refuses;
    how many nobody finds fault with."""
    lax = []
    strict = clean = 0
    for name, example in examples:
        for seed in seeds:
            resource = mutated(example, seed) if seed else example
            passed = rulebook.check(resource) == []
            findings = list(_full(rulebook, resource))
            if passed and findings:
                lax.append(f"{name} {seed}: {findings[0]}")
            strict += not passed and not findings
            clean += not findings
    return lax, strict, clean


def test_the_quick_look_is_never_laxer() -> None:
    lax, strict, clean = _disagreements(Rulebook(), _examples(), range(15))
    assert lax == []
    assert clean > 500
    assert strict < clean / 3  # each costs a full look, no more; much of the damage is rare


def test_what_is_found_where_quick_looks_say_no_is_what_all_checks_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of what keeps to the standard, invariants too, whether its references lead to something at
    hand or not: the very findings, in their order."""
    rulebook, count, examples = Rulebook(), 0, list(_examples())
    beside = Around((None, example) for _, example in examples)
    for name, example in examples:
        for seed in range(8):
            resource = mutated(example, seed) if seed else example
            if not rulebook._gate.is_valid(resource):
                continue
            for one in (*resources(resource, NOTHING), *resources(resource, beside)):
                for held, _ in rulebook.applying.to(one.resource):
                    closer = rulebook._run(one, held, is_plain=True).found
                    with monkeypatch.context() as patched:
                        patched.setattr(_QUICK_LOOK, lambda *_: None)
                        found = rulebook._run(one, held).found
                    assert closer == found, f"{name} {seed}"
                    assert not (found and rulebook._keeps(one, held)), f"{name} {seed}"
                    count += bool(found)
    assert count > 100


@pytest.mark.skipif(not _IPS.exists(), reason="the package is not in cache/")
def test_nor_by_the_profiles_of_the_ips() -> None:
    package = read(_IPS)
    own = {one.url: "reject" for one in package.artifacts}
    rulebook = Rulebook(
        shipped().plus(package.label, package.artifacts), Policy({**own, "*": "off"})
    )
    lax, strict, clean = _disagreements(rulebook, _published(), range(8))
    assert lax == []
    assert clean > 300
    print(f"of {clean} without a finding, {strict} had a full look")


@pytest.mark.slow
def test_the_quick_look_is_never_laxer_in_100_000_resources() -> None:
    count = sum(1 for _ in _examples())
    lax, _, _ = _disagreements(Rulebook(), _examples(), range(1_000, 1_000 + 100_000 // count))
    assert lax == []
