"""Small records made by a seed, and the same without what a caller may not read.

A record is that of `law_resources`, and of types that access treats in ways of their own: Tasks,
Binaries, Compositions, Provenance. Some of its resources were another patient's once, or had
another label; some were deleted, and of odd seeds two Patients are records of one person.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from databases import PostgreSQL
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.fhir import json
from ehr_server.validation.rulebook import Rulebook
from inside import Inside, caller, inside
from properties.law_resources import TYPES, Resource, made

COUNT = 6  # of each type
FURTHER = ("Task", "Binary", "Composition", "Provenance")
ALL_TYPES = (*TYPES, *FURTHER)
Identity = tuple[str, str]

_LABELS = ("R", "HIV", "N")
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


@cache
def rulebook() -> Rulebook:
    """What all the records are held to."""
    return Rulebook()


@dataclass(frozen=True)
class World:
    """What is stored, in that order: `resources`, of some of which two versions; `deleted` in the
    end; of whom may read both, the records of one person are `merged`: source and target. (That two
    are one person is told by what is found of them, whoever may read the Patients.)"""

    resources: Sequence[Resource]
    deleted: Sequence[Identity] = ()
    merged: tuple[str, str] | None = None

    @property
    def identities(self) -> list[Identity]:
        """All there are, each once."""
        return list(dict.fromkeys(map(_identity, self.resources)))

    def without(self, hidden: set[Identity]) -> World:
        """The same without some."""
        kept = [one for one in self.resources if _identity(one) not in hidden]
        pair = self.merged
        if pair is not None and any(("Patient", one) in hidden for one in pair):
            pair = None
        deleted = [one for one in self.deleted if one not in hidden]
        return World(kept, deleted, pair)


def world(seed: int) -> World:
    """One of the seed."""
    chance = random.Random(seed)
    resources = [_labelled(one, chance) for one in made(seed, COUNT)]
    resources += [make(f"r{n}", chance) for n in range(COUNT) for make in _MAKERS]
    former = [_otherwise(one, chance) for one in chance.sample(resources, 12)]
    gone = [(name, f"r{COUNT - 1}") for name in ("Observation", "Condition", "Task")]
    return World([*former, *resources], gone, ("r1", "r2") if seed % 2 else None)


def _identity(resource: Resource) -> Identity:
    return resource["resourceType"], resource["id"]


def _labelled(resource: Resource, chance: random.Random) -> Resource:
    if chance.random() < 0.4:
        label = {"system": _CONFIDENTIALITY, "code": chance.choice(_LABELS)}
        resource = {**resource, "meta": {**resource.get("meta", {}), "security": [label]}}
    return resource


def _otherwise(resource: Resource, chance: random.Random) -> Resource:
    """An earlier version, of another patient or with other labels."""
    before: Resource = json.read(json.write(resource))
    for name in ("subject", "patient", "for", "securityContext"):
        if name in before:
            before[name] = {"reference": f"Patient/r{chance.randrange(COUNT)}"}
    before["meta"] = {"security": [{"system": _CONFIDENTIALITY, "code": "R"}]}
    return before


def _reference(chance: random.Random, *types: str) -> Resource:
    return {"reference": f"{chance.choice(types)}/r{chance.randrange(COUNT)}"}


def _task(id_: str, chance: random.Random) -> Resource:
    return {
        "resourceType": "Task",
        "id": id_,
        "status": "requested",
        "intent": "order",
        "for": _reference(chance, "Patient"),
        "owner": {"reference": f"Organization/r{chance.randrange(3)}"},
        "requester": {"reference": f"Organization/r{chance.randrange(3)}"},
        "focus": _reference(chance, "Observation", "Condition", "MedicationRequest"),
    }


def _binary(id_: str, chance: random.Random) -> Resource:
    context = {"securityContext": _reference(chance, "Patient", "Observation", "Encounter")}
    return {
        "resourceType": "Binary",
        "id": id_,
        "contentType": "text/plain",
        "data": "eA==",
        **(context if chance.random() < 0.8 else {}),
    }


def _composition(id_: str, chance: random.Random) -> Resource:
    entries = [_reference(chance, "Observation", "Condition") for _ in range(2)]
    return {
        "resourceType": "Composition",
        "id": id_,
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": _reference(chance, "Patient"),
        "date": "2024-01-15",
        "author": [_reference(chance, "Practitioner", "Organization")],
        "title": "x",
        "section": [{"title": "y", "entry": entries}],
    }


def _provenance(id_: str, chance: random.Random) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": id_,
        "target": [_reference(chance, "Patient", "Observation", "Condition")],
        "recorded": "2024-01-15T08:30:00+07:00",
        "agent": [{"who": _reference(chance, "Practitioner", "Organization")}],
    }


_MAKERS = (_task, _binary, _composition, _provenance)

# Policies of a site, beside those that come with the server.
SITE = {
    "ward": "may: [{of: Observation, do: rs, where: 'subject:Patient.gender=female'},"
    " {of: [Patient, Encounter, Binary], do: rs}, {of: Condition, do: r}]\noperations: "
    "[Patient-everything, Encounter-everything, Observation-lastn, Composition-document,"
    " Resource-meta, Resource-validate, Patient-match]",
    "unlabelled": "may: [{of: [records, directory], do: cruds, where: '_security:not=R'}]\n"
    "operations: [Patient-everything, Encounter-everything, Observation-lastn,"
    " Composition-document, Resource-meta, Resource-meta-add, Resource-validate, Patient-match,"
    " Patient-merge, unmerge, purge, exports, export-jobs]",
}

_SCOPES = (
    *("system/*.rs", "system/Patient.rs", "system/Observation.rs", "system/Condition.r"),
    *("system/Observation.rs?category=laboratory", "system/Observation.rs?status=final"),
    *("system/Condition.rs?clinical-status=active", "system/Encounter.rs?class=AMB"),
    *("system/Patient.rs?gender=female", "system/Observation.rs?subject:Patient.gender=male"),
    *("system/List.rs?status=current", "system/Group.rs?type=person", "system/Task.rs"),
    *("system/Organization.rs?_id=r0,r1", "system/Location.rs?status=active", "system/Binary.rs"),
    *("system/Practitioner.read", "system/DocumentReference.rs?_security:not=R"),
    *("patient/*.rs", "patient/Observation.rs", "patient/Condition.cruds", "patient/Patient.rs"),
    *("system/MedicationRequest.rs?_filter=status+eq+active", "system/Provenance.rs"),
    "system/Encounter.rs?_has:Observation:encounter:status=final",
)


def some_caller(chance: random.Random) -> Caller:
    """A policy, scopes, a facility and a patient."""
    policy = chance.choice((*_POLICIES, "administrator", "data-team", "registrar"))
    scopes: tuple[str, ...] = ("patient/*.cruds" if policy == "person" else "system/*.cruds",)
    if policy in ("everything", "facility") or chance.random() < 0.3:
        scopes = tuple(chance.sample(_SCOPES, chance.choice((2, 4, 8))))
        if policy == "everything" and chance.random() < 0.5:
            scopes = tuple(one.replace(".rs", ".cruds") for one in scopes)
    where = {"facility": f"r{chance.randrange(3)}", "patient": f"r{chance.randrange(COUNT)}"}
    return caller("somebody", scopes, policy=policy, **where)


_POLICIES = ("facility", "person", "ward", "unlabelled", "everything") * 2


@dataclass(frozen=True)
class Sides:
    """One record, asked by a server that looks after references and by one that does not."""

    careful: Inside
    lax: Inside


@dataclass(frozen=True)
class Pair:
    """The record, and the record without what the caller may not read; `readable` is left."""

    caller: Caller
    whole: Sides
    bare: Sides
    readable: set[Identity]
    hidden: set[Identity]
    types: tuple[str, ...]  # that the caller may search at all


@dataclass(frozen=True)
class Worlds:
    """Databases that hold a world, whole and without what somebody may not read."""

    given: PostgreSQL
    folder: Path

    @contextmanager
    def filled(self, made_of: World) -> Iterator[str]:
        """A database with the world in it, to be copied."""
        for name, text in SITE.items():
            (self.folder / f"{name}.yaml").write_text(text)
        with self.given.database() as database:
            with self._opened(database) as sides:
                here = sides.lax
                for one in made_of.resources:
                    put = here.ask(LOOPBACK, "PUT " + "/".join(_identity(one)), one)
                    assert put.status in (200, 201), put.body
                for type_name, id_ in made_of.deleted:
                    here.ask(LOOPBACK, f"DELETE {type_name}/{id_}")
            yield database

    @contextmanager
    def pair(self, made_of: World, database: str, who: Caller) -> Iterator[Pair]:
        """Both for a caller, from a database with the world in it."""
        with self.given.database(like=database) as copy, self._opened(copy) as whole:
            told = {
                one: whole.careful.ask(who, "GET " + "/".join(one)).status
                for one in made_of.identities
            }
            assert set(told.values()) <= {200, 403, 404, 410}, told
            readable = {one for one, status in told.items() if status in (200, 410)}
            hidden = told.keys() - readable
            known = made_of.without(hidden)
            with self.filled(known) as other, self._opened(other) as bare:
                for here in (whole, bare):
                    if known.merged is not None:
                        _merge(here.lax, *known.merged)
                told_of = [one for one in ALL_TYPES if _may_search(bare.careful, who, one)]
                yield Pair(who, whole, bare, readable, hidden, tuple(told_of))

    @contextmanager
    def _opened(self, database: str) -> Iterator[Sides]:
        settings = {"policies_dir": str(self.folder), "duplicates": "off"}
        with (
            inside(database, rulebook(), **settings) as careful,
            inside(database, rulebook(), **settings, references="accept") as lax,
        ):
            yield Sides(careful, lax)


def _may_search(here: Inside, who: Caller, type_name: str) -> bool:
    return here.ask(who, f"GET {type_name}?_count=0").status == 200


def _merge(here: Inside, source: str, target: str) -> None:
    both = [
        {"name": f"{role}-patient", "valueReference": {"reference": f"Patient/{id_}"}}
        for role, id_ in (("source", source), ("target", target))
    ]
    body: Any = {"resourceType": "Parameters", "parameter": both}
    here.ask(LOOPBACK, "POST Patient/$merge", body)
