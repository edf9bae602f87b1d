"""Consents to write over HTTP, and what is left to a caller then."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from ehr_server import clock
from ehr_server.consent.rule import Ask, actor, purpose
from ehr_server.fhir.bundle import identity
from ehr_server.search.query import Disclosable
from searching import Record, record

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"


def consent(patient: str, provision: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A Consent in force of a Patient, by id; without a provision all is denied."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]},
        **({} if provision is None else {"provision": provision}),
        **more,
    }


def stored(client: httpx.Client, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as the server has stored it."""
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Look:
    """What a caller would see of the record in the database."""

    def __init__(self, here: Record) -> None:
        self._here = here

    def ids(self, address: str, *actors: str, **more: Any) -> set[str]:
        """The ids of what a search leaves to actors such as `Organization/1`."""
        who = tuple(actor(*one.split("/")) for one in actors)
        ask = replace(Ask(who, (purpose("TREAT"),), clock.now()), **more)
        query = self._here.query(address)
        query = replace(query, criteria=(*query.criteria, Disclosable(ask)))
        return {identity(match.content)[1] for match in self._here.run(query).matches}


@contextmanager
def looking(database: str) -> Iterator[Look]:
    with record(database) as here:
        yield Look(here)
