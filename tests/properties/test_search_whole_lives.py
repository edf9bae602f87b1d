"""Searches of whole lives that nobody here wrote, against a plain scan of them in Python.

The Bundles lie beside the checkout, in ../shared/data; without them the test is left out.
"""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ehr_server.fhir import json
from ehr_server.identity.folding import fold
from searching import Record, record

BUNDLES = sorted(Path(__file__).parents[3].glob("shared/data/synthea-r4/*.json.gz"))[:6]

pytestmark = pytest.mark.skipif(
    not BUNDLES, reason="the shared data do not lie beside the checkout"
)

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
Resource = dict[str, Any]
Test = Callable[[Resource], bool]


def _codings(resource: Resource, *path: str) -> Iterator[tuple[str | None, str | None]]:
    values: list[Any] = [resource]
    for step in (*path, "coding"):
        found = [value[step] for value in values if step in value]
        values = [one for value in found for one in (value if isinstance(value, list) else [value])]
    return ((coding.get("system"), coding.get("code")) for coding in values)


def _has(code: str, *path: str, system: str | None = None) -> Test:
    return lambda resource: any(
        found[1] == code and system in (None, found[0]) for found in _codings(resource, *path)
    )


def _is_about(patient: str, element: str = "subject") -> Test:
    return lambda resource: resource.get(element, {}).get("reference") == f"Patient/{patient}"


def _measured(low: float, *, deep: bool = False) -> Test:
    def test(resource: Resource) -> bool:
        parts = [resource, *(resource.get("component", []) if deep else [])]
        return any(part.get("valueQuantity", {}).get("value", low) > low for part in parts)

    return test


def _starts(text: str) -> Test:
    def test(resource: Resource) -> bool:
        parts = [
            part
            for name in resource.get("name", [])
            for key in ("family", "text", "given", "prefix", "suffix")
            for part in (name.get(key) if isinstance(name.get(key), list) else [name.get(key)])
            if part
        ]
        whole = [" ".join([n.get("family", ""), *n.get("given", [])]) for n in resource["name"]]
        return any(fold(part).startswith(fold(text)) for part in (*parts, *whole))

    return test


class Lives:
    """The resources as they were sent, with the links of their Bundle made relative."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []
        for path in BUNDLES:
            text = gzip.decompress(path.read_bytes()).decode()
            for entry in json.read(text.encode())["entry"]:
                resource = entry["resource"]
                text = text.replace(
                    f'"{entry["fullUrl"]}"', f'"{resource["resourceType"]}/{resource["id"]}"'
                )
            self.resources += [e["resource"] for e in json.read(text.encode())["entry"]]
        counted = Counter(
            r["subject"]["reference"]
            for r in self.resources
            if r["resourceType"] == "Observation" and "subject" in r
        )
        self.patient = counted.most_common(1)[0][0].partition("/")[2]
        self.person = next(r for r in self.resources if r["id"] == self.patient)

    def truth(self, type_name: str, *tests: Test) -> set[str]:
        return {
            resource["id"]
            for resource in self.resources
            if resource["resourceType"] == type_name and all(test(resource) for test in tests)
        }


@pytest.fixture(scope="module")
def lives() -> Lives:
    return Lives()


@pytest.fixture(scope="module")
def here(module_database: str, lives: Lives) -> Iterator[Record]:
    with record(module_database) as found:
        last = {(r["resourceType"], r["id"]): r for r in lives.resources}
        lives.resources = list(last.values())
        found.put(*lives.resources)
        yield found


def _of_people(lives: Lives) -> Iterator[tuple[str, set[str]]]:
    """Addresses, each with its truth."""
    patient, person, truth = lives.patient, lives.person, lives.truth
    identifier = person["identifier"][0]
    yield f"Patient?_id={patient}", {patient}
    yield f"Patient?identifier={identifier['system']}|{identifier['value']}", {patient}
    yield f"Patient?identifier={identifier['value']}", {patient}
    yield "Patient?gender=female", truth("Patient", lambda r: r["gender"] == "female")
    yield "Patient?name=ma", truth("Patient", _starts("ma"))
    yield (
        f"Patient?birthdate=lt{person['birthDate']}",
        truth("Patient", lambda r: r["birthDate"] < person["birthDate"]),
    )


def _of_observations(lives: Lives) -> Iterator[tuple[str, set[str]]]:
    patient, truth = lives.patient, lives.truth
    about = _is_about(patient)
    yield f"Observation?patient={patient}", truth("Observation", about)
    yield f"Observation?subject=Patient/{patient}", truth("Observation", about)
    yield (
        f"Observation?patient={patient}&code={LOINC}|8302-2&_sort=-date",
        truth("Observation", about, _has("8302-2", "code", system=LOINC)),
    )
    yield f"Observation?code={LOINC}|8302-2", truth("Observation", _has("8302-2", "code"))
    yield (
        f"Observation?code={LOINC}|8302-2,29463-7",
        truth(
            "Observation",
            lambda r: _has("8302-2", "code")(r) or _has("29463-7", "code")(r),
        ),
    )
    yield f"Observation?code={SNOMED}|8302-2", set()
    yield (
        "Observation?combo-code=8480-6",
        truth(
            "Observation",
            lambda r: _has("8480-6", "code")(r) or _has("8480-6", "component", "code")(r),
        ),
    )
    yield "Observation?category=laboratory", truth("Observation", _has("laboratory", "category"))
    yield (
        "Observation?category=vital-signs&value-quantity=gt100",
        truth("Observation", _has("vital-signs", "category"), _measured(100)),
    )
    yield (
        "Observation?combo-value-quantity=gt140",
        truth("Observation", _measured(140, deep=True)),
    )


def _of_the_rest(lives: Lives) -> Iterator[tuple[str, set[str]]]:
    patient, truth = lives.patient, lives.truth
    about = _is_about(patient)
    yield (
        "Encounter?date=sa2015&class=AMB",
        truth(
            "Encounter",
            lambda r: r["period"]["start"] >= "2016-01-01T07" and r["class"]["code"] == "AMB",
        ),
    )
    yield f"Encounter?patient={patient}", truth("Encounter", about)
    yield "Condition?clinical-status=active", truth("Condition", _has("active", "clinicalStatus"))
    yield "Procedure?status=completed", truth("Procedure", lambda r: r["status"] == "completed")
    yield f"Immunization?patient={patient}", truth("Immunization", _is_about(patient, "patient"))
    yield (
        f"Immunization?patient={patient}&vaccine-code=140",
        truth("Immunization", _is_about(patient, "patient"), _has("140", "vaccineCode")),
    )
    yield f"Claim?patient={patient}", truth("Claim", _is_about(patient, "patient"))
    yield (
        f"MedicationRequest?patient={patient}&status=stopped",
        truth("MedicationRequest", about, lambda r: r["status"] == "stopped"),
    )
    encounter = next(r for r in lives.resources if r["resourceType"] == "Encounter")["id"]
    yield (
        f"Observation?encounter={encounter}",
        truth(
            "Observation",
            lambda r: r.get("encounter", {}).get("reference") == f"Encounter/{encounter}",
        ),
    )
    yield "Practitioner", truth("Practitioner")
    yield "Organization?name=h", truth("Organization", lambda r: fold(r["name"]).startswith("h"))


def test_searches_find_what_a_scan_finds(here: Record, lives: Lives) -> None:
    found_any = 0
    searches = (*_of_people(lives), *_of_observations(lives), *_of_the_rest(lives))
    for address, truth in searches:
        found = here.ids(address)
        assert set(found) == truth, address
        assert len(found) == len(truth), address
        found_any += bool(truth)
    assert found_any >= 23


def test_an_observation_has_few_rows_beside_its_own(here: Record) -> None:
    with here.store.connection() as connection:
        beside = sum(
            connection.execute(
                f"select count(*) from {table} x join resource_observation r using (comp, key)"
            ).fetchall()[0][0]
            for table in ("string", "date", "quantity")
        )
        (count,) = connection.execute("select count(*) from resource_observation").fetchall()[0]
    assert count > 500
    assert beside / count <= 2
