"""Two whole records become one: how long it takes, and what the one record costs to read.

https://hl7.org/fhir/patient-operation-merge.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from campaign import systems
from ehr_server.fhir import json
from harness import client, record
from harness.client import Load, request
from harness.figures import Figures, figures
from harness.processes import usage

if TYPE_CHECKING:
    from harness.server import Server
    from identity.town import Town

_CODE = quote("http://example.org/lab|c7", safe="")
_ABSENT = {404, 501}  # a server that does not know the operation


@dataclass(slots=True)
class Merging:
    """The rows; `left_out` says why there is none of the merge itself."""

    rows: list[Figures] = field(default_factory=list)
    left_out: str = ""


def merging(town: Town, seconds: float) -> Merging:
    """Stores three persons of 8,500 resources each, merges two of them; the third stays alone."""
    server, two = town.server, town.fresh(2)
    source, target, single = (
        f"{whose}-{two[0].number}" for whose in ("source", "target", "single")
    )
    for id_, one in zip((source, target), two, strict=True):
        record.store(server, id_, identifier=[{"system": systems.CCCD, "value": one.cccd}])
    record.store(server, single)
    found = Merging(_asked(server, single, "before any merge, a person", seconds))
    if not _merge(server, (source, target), found):
        return found
    found.rows += _asked(server, single, "after it, a person never merged", seconds)
    found.rows += _asked(server, target, "the merged person", seconds)
    card = quote(f"{systems.CCCD}|{two[0].cccd}", safe="")
    path = f"/fhir/Patient?identifier={card}"
    what = "the merged person by the number of the one who was merged"
    found.rows.append(record.asked(server, what, path, seconds))
    return found


def _asked(server: Server, id_: str, whose: str, seconds: float) -> list[Figures]:
    newest = f"/fhir/Observation?patient={id_}&code={_CODE}&_sort=-date&_count=10"
    everything = f"/fhir/Patient/{id_}/$everything?_count=50"
    return [
        record.asked(server, f"{whose}: Observation?patient=&code=", newest, seconds),
        record.asked(server, f"{whose}: $everything?_count=50", everything, seconds),
    ]


def _merge(server: Server, pair: tuple[str, str], found: Merging) -> bool:
    """The operation, once; False if the server does not take it."""
    given = [
        {"name": name, "valueReference": {"reference": f"Patient/{id_}"}}
        for name, id_ in zip(("source-patient", "target-patient"), pair, strict=True)
    ]
    wish = json.write({"resourceType": "Parameters", "parameter": given})
    sent = request("POST", "/fhir/Patient/$merge", server.name, wish)
    before = usage(server.pid)
    outcome = client.run(Load(server.address, [sent]))
    if outcome.is_good:
        what = f"$merge of two with {record.RESOURCES:,} resources each"
        used = usage(server.pid) - before
        found.rows.append(figures(what, 1, (1, "merges"), outcome, used))
    elif _ABSENT & outcome.statuses.keys():
        found.left_out = "this server has no Patient/$merge"
    else:
        found.left_out = f"{outcome.statuses}: {outcome.refusal[:2000].decode()}"
    return not found.left_out
