"""Searches of whole lives that nobody here wrote, against a plain scan of them in Python.

The Bundles lie beside the checkout, in ../shared/data; without them the test is left out. Six of
them are searched always, all hundred among the slow tests.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from databases import PostgreSQL
from properties.lives import (
    BUNDLES,
    Lives,
    Resource,
    about,
    begins,
    coded,
    link,
    measured,
    moment,
    names,
    plain,
    values,
)
from searching import Record, record

pytestmark = pytest.mark.skipif(
    not BUNDLES, reason="the shared data do not lie beside the checkout"
)

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
HEIGHT, WEIGHT, SYSTOLIC, SMOKING = "8302-2", "29463-7", "8480-6", "72166-2"

Case = tuple[str, set[str]]


def _is(key: str, value: str) -> Callable[[Resource], bool]:
    return lambda resource: resource.get(key) == value


def _without(key: str) -> Callable[[Resource], bool]:
    return lambda resource: key not in resource


def _pressure(test: Callable[[float], bool]) -> Callable[[Resource], bool]:
    """The systolic component is as the test says."""
    return lambda resource: any(
        coded(SYSTOLIC, "code")(component) and measured(test)(component)
        for component in values(resource, "component")
    )


def _of_people(lives: Lives) -> Iterator[Case]:
    patient, person, truth = lives.patient, lives.person, lives.truth
    identifier, born = person["identifier"][0], person["birthDate"]
    yield f"Patient?_id={patient}", {patient}
    yield f"Patient?identifier={identifier['system']}|{identifier['value']}", {patient}
    yield f"Patient?identifier={identifier['value']}", {patient}
    yield "Patient?gender=female", truth("Patient", _is("gender", "female"))
    yield "Patient?gender:not=female", truth("Patient", lambda r: r["gender"] != "female")
    yield "Patient?name=ma", truth("Patient", begins("ma"))
    yield "Patient?name:contains=an", truth("Patient", lambda r: any("an" in n for n in names(r)))
    family = person["name"][0]["family"]
    exact = truth("Patient", lambda r: family in values(r, "name", "family"))
    yield f"Patient?family:exact={family}", exact
    yield f"Patient?family:exact={family.lower()}", set()
    yield f"Patient?birthdate=lt{born}", truth("Patient", lambda r: r["birthDate"] < born)
    yield "Patient?death-date:missing=true", truth("Patient", _without("deceasedDateTime"))
    yield "Patient?deceased=true", truth("Patient", lambda r: "deceasedDateTime" in r)
    city = plain(person["address"][0]["city"])
    yield (
        f"Patient?address-city:contains={city[1:]}",
        truth("Patient", lambda r: any(city[1:] in plain(c) for c in values(r, "address", "city"))),
    )
    yield (
        f'Patient?_filter=gender eq female and birthdate lt {born} or family eq "{family}"',
        truth("Patient", lambda r: r["gender"] == "female" and r["birthDate"] < born) | exact,
    )


def _of_observations(lives: Lives) -> Iterator[Case]:
    patient, truth = lives.patient, lives.truth
    mine = about(patient)
    yield f"Observation?patient={patient}", truth("Observation", mine)
    yield f"Observation?subject=Patient/{patient}", truth("Observation", mine)
    yield (
        f"Observation?patient={patient}&code={LOINC}|{HEIGHT}&_sort=-date",
        truth("Observation", mine, coded(HEIGHT, "code", system=LOINC)),
    )
    yield f"Observation?code={LOINC}|{HEIGHT}", truth("Observation", coded(HEIGHT, "code"))
    yield (
        f"Observation?code={LOINC}|{HEIGHT},{WEIGHT}",
        truth("Observation", lambda r: coded(HEIGHT, "code")(r) or coded(WEIGHT, "code")(r)),
    )
    yield f"Observation?code={SNOMED}|{HEIGHT}", set()
    yield (
        f"Observation?combo-code={SYSTOLIC}",
        truth(
            "Observation",
            lambda r: coded(SYSTOLIC, "code")(r) or coded(SYSTOLIC, "component", "code")(r),
        ),
    )
    yield "Observation?category=laboratory", truth("Observation", coded("laboratory", "category"))
    yield (
        f"Observation?category:not=laboratory&patient={patient}",
        truth("Observation", mine, lambda r: not coded("laboratory", "category")(r)),
    )
    yield (
        "Observation?code:text=body",
        truth(
            "Observation",
            lambda r: any(
                plain(text).startswith("body")
                for text in (*values(r, "code", "text"), *values(r, "code", "coding", "display"))
            ),
        ),
    )
    yield (
        "Observation?value-quantity:missing=true&category=vital-signs",
        truth("Observation", _without("valueQuantity"), coded("vital-signs", "category")),
    )


def _of_values(lives: Lives) -> Iterator[Case]:
    truth = lives.truth
    yield (
        "Observation?category=vital-signs&value-quantity=gt100",
        truth("Observation", coded("vital-signs", "category"), measured(lambda v: v > 100)),
    )
    yield (
        "Observation?combo-value-quantity=gt140",
        truth(
            "Observation",
            lambda r: measured(lambda v: v > 140)(r) or measured(lambda v: v > 140, "component")(r),
        ),
    )
    # units: metres against centimetres, kilopascals against millimetres of mercury
    yield (
        f"Observation?value-quantity=gt1.5|{UCUM}|m",
        truth("Observation", measured(lambda v: v > 150, unit="cm")),
    )
    yield (
        f"Observation?code={WEIGHT}&value-quantity=le70000|{UCUM}|g",
        truth("Observation", coded(WEIGHT, "code"), measured(lambda v: v <= 70, unit="kg")),
    )
    yield (
        f"Observation?component-code-value-quantity={LOINC}|{SYSTOLIC}$gt17|{UCUM}|kPa",
        truth("Observation", _pressure(lambda v: v * 0.133322 > 17)),
    )
    # composites
    yield (
        f"Observation?component-code-value-quantity={SYSTOLIC}$gt120",
        truth("Observation", _pressure(lambda v: v > 120)),
    )
    yield (
        f"Observation?combo-code-value-quantity={SYSTOLIC}$lt110",
        truth("Observation", _pressure(lambda v: v < 110)),
    )
    yield (
        f"Observation?code-value-quantity={HEIGHT}$gt170,{WEIGHT}$lt50",
        truth("Observation", coded(HEIGHT, "code"), measured(lambda v: v > 170))
        | truth("Observation", coded(WEIGHT, "code"), measured(lambda v: v < 50)),
    )
    yield (
        f"Observation?code-value-concept={SMOKING}${SNOMED}|8517006",
        truth(
            "Observation",
            coded(SMOKING, "code"),
            coded("8517006", "valueCodeableConcept", system=SNOMED),
        ),
    )
    yield (
        "Observation?_filter=value-quantity gt 1.7|ucum|m and not(patient.gender eq male)",
        truth(
            "Observation",
            measured(lambda v: v > 170, unit="cm"),
            lives.leads("subject", to=_is("gender", "female")),
        ),
    )


def _of_chains(lives: Lives) -> Iterator[Case]:
    truth, leads = lives.truth, lives.leads
    born = lives.person["birthDate"]
    family = plain(lives.person["name"][0]["family"])
    is_female = _is("gender", "female")
    yield (
        f"Observation?subject:Patient.family={family}&code={HEIGHT}",
        truth("Observation", leads("subject", to=_named(family)), coded(HEIGHT, "code")),
    )
    yield (
        "Condition?patient.gender=female&clinical-status=active",
        truth("Condition", leads("subject", to=is_female), coded("active", "clinicalStatus")),
    )
    yield (
        f"Encounter?subject.birthdate=lt{born}",
        truth("Encounter", leads("subject", to=lambda r: r["birthDate"] < born)),
    )
    yield (
        "Encounter?service-provider.name:contains=hosp",
        truth("Encounter", leads("serviceProvider", to=lambda r: "hosp" in plain(r["name"]))),
    )
    yield (
        "Condition?encounter.service-provider.name=ba",
        truth(
            "Condition",
            leads(
                "encounter",
                to=leads("serviceProvider", to=lambda r: plain(r["name"]).startswith("ba")),
            ),
        ),
    )
    yield (
        "MedicationRequest?encounter.class:not=AMB",
        truth("MedicationRequest", leads("encounter", to=lambda r: r["class"]["code"] != "AMB")),
    )
    yield (
        "DiagnosticReport?result.code=718-7",
        truth("DiagnosticReport", leads("result", to=coded("718-7", "code"))),
    )


def _of_those_that_refer(lives: Lives) -> Iterator[Case]:
    truth, referred = lives.truth, lives.referred
    sinusitis = coded("444814009", "code")
    yield (
        "Patient?_has:Condition:patient:code=444814009",
        truth("Patient", referred("Condition", "subject", by=sinusitis)),
    )
    yield (
        f"Patient?_has:Observation:patient:code-value-quantity={HEIGHT}$gt180",
        truth(
            "Patient",
            referred(
                "Observation",
                "subject",
                by=lambda r: coded(HEIGHT, "code")(r) and measured(lambda v: v > 180)(r),
            ),
        ),
    )
    yield (
        "Practitioner?_has:Encounter:practitioner:class=EMER",
        truth(
            "Practitioner",
            referred(
                "Encounter",
                "participant",
                "individual",
                by=lambda r: r["class"]["code"] == "EMER",
            ),
        ),
    )
    yield (
        "Organization?_has:Encounter:service-provider:_has:Condition:encounter:code=444814009",
        truth(
            "Organization",
            referred(
                "Encounter",
                "serviceProvider",
                by=referred("Condition", "encounter", by=sinusitis),
            ),
        ),
    )


def _named(family: str) -> Callable[[Resource], bool]:
    return lambda resource: any(
        plain(one).startswith(family) for one in values(resource, "name", "family")
    )


def _of_the_rest(lives: Lives) -> Iterator[Case]:
    patient, truth = lives.patient, lives.truth
    mine, my = about(patient), about(patient, "patient")
    yield (
        "Encounter?date=sa2015&class=AMB",
        truth(
            "Encounter",
            lambda r: moment(r["period"]["start"]) >= moment("2016-01-01"),
            lambda r: r["class"]["code"] == "AMB",
        ),
    )
    yield f"Encounter?patient={patient}", truth("Encounter", mine)
    yield "Condition?clinical-status=active", truth("Condition", coded("active", "clinicalStatus"))
    yield (
        f"Condition?clinical-status:below={CLINICAL}|inactive",
        truth("Condition", lambda r: not coded("active", "clinicalStatus")(r)),
    )
    yield "Condition?code:text=acute", truth("Condition", _called("acute"))
    yield "Condition?abatement-date:missing=true", truth("Condition", _without("abatementDateTime"))
    yield "Procedure?status=completed", truth("Procedure", _is("status", "completed"))
    yield f"Immunization?patient={patient}", truth("Immunization", my)
    yield (
        f"Immunization?patient={patient}&vaccine-code=140",
        truth("Immunization", my, coded("140", "vaccineCode")),
    )
    yield f"Claim?patient={patient}", truth("Claim", my)
    yield (
        f"Observation?_filter=patient re Patient/{patient} and category eq vital-signs",
        truth("Observation", mine, coded("vital-signs", "category")),
    )
    yield (
        f"MedicationRequest?patient={patient}&status=stopped",
        truth("MedicationRequest", mine, _is("status", "stopped")),
    )
    encounter = lives.by_type["Encounter"][0]["id"]
    yield (
        f"Observation?encounter={encounter}",
        truth("Observation", lambda r: link(r, "encounter") == f"Encounter/{encounter}"),
    )
    yield "Practitioner", truth("Practitioner")
    yield "Organization?name=h", truth("Organization", lambda r: plain(r["name"])[0] == "h")


def _called(start: str) -> Callable[[Resource], bool]:
    return lambda resource: any(
        plain(text).startswith(start)
        for text in (
            *values(resource, "code", "text"), *values(resource, "code", "coding", "display"),
        )
    )  # fmt: skip


QUESTIONS = (
    _of_people, _of_observations, _of_values, _of_chains, _of_those_that_refer, _of_the_rest,
)  # fmt: skip


def _orders(lives: Lives) -> Iterator[tuple[str, list[Any], Callable[[Resource], Any]]]:
    """Addresses, each with the resources found and the key that their order must rise by."""
    people = lives.by_type["Patient"]
    heights = [one for one in lives.by_type["Observation"] if coded(HEIGHT, "code")(one)]
    encounters = [one for one in lives.by_type["Encounter"] if about(lives.patient)(one)]

    def family(person: Resource) -> str:
        return min(plain(one) for one in values(person, "name", "family"))

    yield "Patient?_sort=family,birthdate", people, lambda r: (family(r), r["birthDate"])
    yield "Patient?_sort=birthdate", people, lambda r: r["birthDate"]
    yield (
        "Patient?_sort=death-date,-birthdate",
        people,
        lambda r: (
            "deceasedDateTime" not in r,
            moment(r.get("deceasedDateTime", "2000-01-01")),
            -moment(r["birthDate"]).timestamp(),
        ),
    )
    yield (
        f"Observation?code={HEIGHT}&_sort=-value-quantity,date",
        heights,
        lambda r: (-r["valueQuantity"]["value"], moment(r["effectiveDateTime"])),
    )
    yield (
        f"Encounter?patient={lives.patient}&_sort=-date",
        encounters,
        lambda r: -moment(r["period"]["start"]).timestamp(),
    )


@pytest.fixture(
    scope="module", params=[6, pytest.param(len(BUNDLES), marks=pytest.mark.slow)], ids=str
)
def lives(request: pytest.FixtureRequest) -> Lives:
    return Lives(BUNDLES[: request.param])


@pytest.fixture(scope="module")
def here(given_postgresql: PostgreSQL, lives: Lives) -> Iterator[Record]:
    with given_postgresql.database() as url, record(url) as found:
        for start in range(0, len(lives.resources), 2_000):
            found.put(*lives.resources[start : start + 2_000])
        yield found


def test_searches_find_what_a_scan_finds(here: Record, lives: Lives) -> None:
    found_any = asked = 0
    for cases in QUESTIONS:
        for address, truth in cases(lives):
            found = here.ids(address)
            assert set(found) == truth, address
            assert len(found) == len(truth), address
            asked += 1
            found_any += bool(truth)
    assert asked >= 60
    assert found_any >= 50


def test_orders_rise_and_leave_nothing_out(here: Record, lives: Lives) -> None:
    for address, resources, key in _orders(lives):
        by_id = {resource["id"]: resource for resource in resources}
        assert by_id
        for count in (1000, 7):
            found = here.ids(f"{address}&_count={count}")
            assert sorted(found) == sorted(by_id), address
            keys = [key(by_id[id_]) for id_ in found]
            assert keys == sorted(keys), address


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
