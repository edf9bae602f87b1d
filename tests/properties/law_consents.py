"""People with Consents of all shapes, resources about one or two of them, and who asks for what."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ehr_server.consent.rule import Ask, actor, purpose
from ehr_server.sensitivity import reasons

PEOPLE = tuple(f"p{number}" for number in range(1, 9))
NOW = datetime(2026, 11, 26, 5, tzinfo=UTC)  # noon in Hanoi

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
LOINC = "http://loinc.org"
_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
_TYPES = "http://hl7.org/fhir/resource-types"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

ACTORS = (("Organization", "a"), ("Organization", "b"), ("Practitioner", "d"), ("Device", "x"))
PURPOSES = ("TREAT", "HRESCH", "HPAYMT")
LABELS = (
    (CONFIDENTIALITY, "R"), (CONFIDENTIALITY, "V"), (ACT_CODE, "HIV"), (ACT_CODE, "PSY"),
    (ACT_CODE, "BH"), ("http://benhvien.vn/nhan", "vip"),
)  # fmt: skip
CODES = ((LOINC, "718-7"), (LOINC, "5017-9"), ("http://hl7.org/fhir/sid/icd-10", "B20"))
PERIODS: tuple[dict[str, str], ...] = (
    {"start": "2026-11-26"}, {"end": "2026-11-25"}, {"end": "2026-11-26"}, {"start": "2026-11-27"},
    {"start": "2026-11-26T12:00:00+07:00"}, {"end": "2026-11-26T11:59:59+07:00"},
    {"start": "2026", "end": "2026-11"},
)  # fmt: skip
DAYS = ("2020", "2025-03", "2026-11-26", "2026-11-26T08:00:00+07:00")
_SPANS: tuple[dict[str, str], ...] = (
    {"start": "2025"}, {"end": "2025-03"}, {"start": "2025-03-02", "end": "2026-11-26"},
)  # fmt: skip


def consents(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [_consent(chance, f"c{number}") for number in range(count)]


def resources(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Observations, Conditions and Appointments, and the people themselves."""
    made = [_observation(chance, f"o{at}") for at in range(count)]
    made += [_condition(chance, f"k{at}") for at in range(count // 2)]
    made += [_appointment(chance, f"t{at}") for at in range(count // 2)]
    return [*({"resourceType": "Patient", "id": id_} for id_ in PEOPLE), *made]


def ask(chance: random.Random) -> Ask:
    known = sorted(reasons())
    actors = chance.sample(ACTORS, chance.randint(0, 2))
    made = Ask(
        tuple(actor(*one) for one in actors),
        (purpose(chance.choice(PURPOSES)),),
        chance.choice((NOW, NOW, NOW - timedelta(seconds=1), NOW + timedelta(days=1))),
        frozenset(chance.choice((known, [], chance.sample(known, 4), ["HIV"]))),
        chance.choice(("open", "open", "closed")),
    )
    return replace(made, is_broken=True) if chance.random() < 0.03 else made


def _consent(chance: random.Random, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Consent",
        "id": id_,
        "status": "inactive" if chance.random() < 0.1 else "active",
        "scope": _concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [_concept(LOINC, "59284-0")],
        "patient": {"reference": f"Patient/{chance.choice(PEOPLE[:-1])}"},
        "policyRule": _concept(ACT_CODE, chance.choice(("OPTIN", "OPTOUT"))),
    }
    if provision := _provision(chance, 0):
        found["provision"] = provision
    return found


def _provision(chance: random.Random, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if depth or chance.random() < 0.7:
        found["type"] = chance.choice(("permit", "deny"))

    def given(name: str, share: float, made: Any) -> None:
        if chance.random() < share:
            found[name] = made()

    given("period", 0.2, lambda: chance.choice(PERIODS))
    given("actor", 0.3, lambda: _some(chance, ACTORS, _actor))
    given("action", 0.1, lambda: [_concept(_ACTION, chance.choice(("access", "collect", "use")))])
    given("securityLabel", 0.3, lambda: _some(chance, LABELS, _coding))
    given("purpose", 0.3, lambda: _some(chance, PURPOSES, lambda one: _coding((ACT_REASON, one))))
    given("class", 0.25, lambda: _some(chance, ("Observation", "Condition", "Patient"), _class))
    given("code", 0.15, lambda: _some(chance, CODES, lambda one: _concept(*one)))
    given("dataPeriod", 0.15, lambda: chance.choice(_SPANS))
    given("data", 0.05, lambda: [_data(chance)])
    given("modifierExtension", 0.03, lambda: [{"url": "http://a/b", "valueBoolean": True}])
    if depth < 3:
        inner = [_provision(chance, depth + 1) for _ in range(chance.choice((0, 0, 1, 2)))]
        if inner:
            found["provision"] = inner
    return found


def _some(chance: random.Random, pool: Any, made: Any) -> list[Any]:
    return [made(one) for one in chance.sample(pool, chance.randint(1, 2))]


def _actor(one: tuple[str, str]) -> dict[str, Any]:
    reference = {"reference": "/".join(one)}
    return {"role": _concept(_PARTICIPATION, "IRCP"), "reference": reference}


def _data(chance: random.Random) -> dict[str, Any]:
    meaning = "instance" if chance.random() < 0.8 else "related"
    return {
        "meaning": meaning,
        "reference": {"reference": f"Observation/o{chance.randrange(20)}"},
    }


def _class(name: str) -> dict[str, str]:
    return _coding((_TYPES, name))


def _coding(one: tuple[str, str]) -> dict[str, str]:
    return {"system": one[0], "code": one[1]}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _labelled(chance: random.Random, found: dict[str, Any]) -> dict[str, Any]:
    if chance.random() < 0.4:
        found["meta"] = {"security": _some(chance, LABELS, _coding)}
    return found


def _observation(chance: random.Random, id_: str) -> dict[str, Any]:
    found = {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": _concept(*chance.choice(CODES)),
    }
    if chance.random() < 0.9:
        found["subject"] = {"reference": f"Patient/{chance.choice(PEOPLE)}"}
    if chance.random() < 0.3:
        found["performer"] = [{"reference": f"Patient/{chance.choice(PEOPLE)}"}]
    if chance.random() < 0.8:
        found["effectiveDateTime"] = chance.choice(DAYS)
    return _labelled(chance, found)


def _condition(chance: random.Random, id_: str) -> dict[str, Any]:
    found = {
        "resourceType": "Condition",
        "id": id_,
        "subject": {"reference": f"Patient/{chance.choice(PEOPLE)}"},
        "code": _concept(*chance.choice(CODES)),
    }
    return _labelled(chance, found)


def _appointment(chance: random.Random, id_: str) -> dict[str, Any]:
    people = chance.sample(PEOPLE, chance.randint(1, 2))
    found = {
        "resourceType": "Appointment",
        "id": id_,
        "status": "booked",
        "start": "2026-11-26T08:00:00+07:00",
        "end": "2026-11-26T09:00:00+07:00",
        "participant": [
            {"actor": {"reference": f"Patient/{one}"}, "status": "accepted"} for one in people
        ],
    }
    return _labelled(chance, found)
