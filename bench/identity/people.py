"""The normal road of a list of people: a transaction of 400, plain, conditional, and sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaign import Plan, systems
from campaign.registration import patient
from ehr_server.fhir import json
from harness import client
from harness.client import Load, accepted, request
from harness.figures import Figures, figures
from harness.measured import measured
from harness.processes import usage

if TYPE_CHECKING:
    from campaign import Resident
    from harness.client import Outcome
    from harness.server import Server
    from identity.town import Town

TOGETHER = 400  # people of a Bundle
_EACH = (TOGETHER, "people")


@dataclass(frozen=True, slots=True)
class Lists:
    """The rows, and of the Bundles that two clients sent at once: people in them, Patients made."""

    rows: list[Figures]
    sent: int
    made: int


def lists(town: Town, bundles: int) -> Lists:
    """So many Bundles of each sort, over one connection, and over one of each of two clients."""
    server = town.server
    for is_conditional in (False, True):  # warm every process
        client.good(_load(server, town.fresh(2 * TOGETHER), is_conditional=is_conditional))
    plain = _load(server, town.fresh(bundles * TOGETHER), is_conditional=False)
    conditional = _load(server, town.fresh(bundles * TOGETHER), is_conditional=True)
    rows = [
        measured(server, "plain create", plain, _EACH),
        measured(server, "ifNoneExist, first time", conditional, _EACH),
        measured(server, "ifNoneExist, sent again", conditional, _EACH),
    ]
    people = town.fresh(bundles * TOGETHER)
    before = _patients(server)
    rows.append(_twice(server, _load(server, people, is_conditional=True)))
    return Lists(rows, len(people), _patients(server) - before)


def _twice(server: Server, load: Load) -> Figures:
    """Two clients send the same at the same time; the rate counts what both of them sent."""
    before = usage(server.pid)
    both = [accepted(outcome) for outcome in client.at_once([load, load])]
    used = usage(server.pid) - before
    whole = _sum(both)
    counted = (len(whole.latencies) * TOGETHER, "people")
    return figures("ifNoneExist, the same from two clients at once", 2, counted, whole, used)


def _sum(outcomes: list[Outcome]) -> Outcome:
    return client.Outcome(
        wall_s=max(one.wall_s for one in outcomes),
        cpu_s=sum(one.cpu_s for one in outcomes),
        latencies=[latency for one in outcomes for latency in one.latencies],
    )


def _load(server: Server, people: list[Resident], *, is_conditional: bool) -> Load:
    bundles = [people[at : at + TOGETHER] for at in range(0, len(people), TOGETHER)]
    sent = [
        request("POST", "/fhir", server.name, json.write(_bundle(one, is_conditional)))
        for one in bundles
    ]
    return Load(server.address, sent)


def _bundle(people: list[Resident], is_conditional: bool) -> dict[str, Any]:
    commune = Plan(0).commune
    entries = []
    for one in people:
        wish = {"method": "POST", "url": "Patient"}
        if is_conditional:
            wish["ifNoneExist"] = f"identifier={systems.CCCD}|{one.cccd}"
        entries.append({"resource": patient(one, commune), "request": wish})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _patients(server: Server) -> int:
    """How many there are."""
    asked = request("GET", "/fhir/Patient?_summary=count", server.name)
    outcome = client.good(Load(server.address, [asked], keep=True))
    total: int = json.read_own(outcome.bodies[0])["total"]
    return total
