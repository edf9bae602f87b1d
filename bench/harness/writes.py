"""Writes beside each other: conditional creates and plain ones, patches and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from harness import client
from harness.client import Load, request
from harness.figures import HEADINGS, Figures, table
from harness.measured import measured
from harness.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENTRIES = 400  # of a Bundle
_SYSTEM = "http://his.example/result"
_RESOURCES = 200  # that are updated and patched
_STATES = ("amended", "final")  # by turns, so that each write makes a version
_SHARES = (
    ("create in Bundles", "conditional create in Bundles", 0.5),
    ("update", "patch", 0.6),
)


def section(is_quick: bool) -> str:
    """The rows on a fresh server, over 1 and 8 connections, as a section of the report."""
    seconds, bundles = (1.0, 8) if is_quick else (4.0, 24)
    rows = []
    with serving() as server:
        for is_conditional in (False, True):  # warm every process
            warm = _bundles(server, "warm", 4, is_conditional=is_conditional)
            client.good(Load(server.address, warm, 4))
        client.good(Load(server.address, _updates(server), 4))
        server.rows("analyze")
        for connections in (1, 8):
            for name, is_conditional in zip(_SHARES[0], (False, True), strict=False):
                own = f"{connections}-{is_conditional}"
                sent = _bundles(server, own, bundles, is_conditional=is_conditional)
                load = Load(server.address, sent, connections)
                rows.append(measured(server, str(name), load, (_ENTRIES, "resources")))
            for name, made in zip(_SHARES[1], (_updates, _patches), strict=False):
                load = Load(server.address, made(server), connections, seconds)
                rows.append(measured(server, str(name), load, (1, "requests")))
    text = table(HEADINGS, [row.row() for row in rows])
    return f"### Conditional creates and patches\n\n{text}\n\n" + " ".join(_told(rows))


def _told(rows: list[Figures]) -> Iterator[str]:
    """How much of one rate the other has, and what it should have."""
    rates = {(row.what, row.connections): row.rate for row in rows}
    for connections in (1, 8):
        for plain, other, wanted in _SHARES:
            share = rates[other, connections] / rates[plain, connections]
            yield (
                f"Over {connections}: {other} has {share:.0%} of the rate of {plain}, "
                f"of which it should have {wanted:.0%}."
            )


def _bundles(server: Server, own: str, count: int, *, is_conditional: bool) -> list[bytes]:
    """Transactions of creates whose identifiers nobody else has, `own` set them apart."""
    return [
        request("POST", "/fhir", server.name, json.write(_bundle(f"{own}-{at}", is_conditional)))
        for at in range(count)
    ]


def _bundle(own: str, is_conditional: bool) -> dict[str, Any]:
    entries = []
    for at in range(_ENTRIES):
        value = f"{own}-{is_conditional}-{at}"
        wish: dict[str, Any] = {"method": "POST", "url": "Observation"}
        if is_conditional:
            wish["ifNoneExist"] = f"identifier={_SYSTEM}|{value}"
        identifier = [{"system": _SYSTEM, "value": value}]
        entries.append({"resource": _result("final") | {"identifier": identifier}, "request": wish})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _updates(server: Server) -> list[bytes]:
    """Each resource in one state, then each in the other."""
    return [
        request(
            "PUT",
            f"/fhir/Observation/bench-{at}",
            server.name,
            json.write(_result(state) | {"id": f"bench-{at}"}),
        )
        for state in _STATES
        for at in range(_RESOURCES)
    ]


def _patches(server: Server) -> list[bytes]:
    return [
        request(
            "PATCH",
            f"/fhir/Observation/bench-{at}",
            server.name,
            json.write([{"op": "replace", "path": "/status", "value": state}]),
            "application/json-patch+json",
        )
        for state in _STATES
        for at in range(_RESOURCES)
    ]


def _result(state: str) -> dict[str, Any]:
    """A result of a laboratory, of nobody."""
    return {
        "resourceType": "Observation",
        "status": state,
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "effectiveDateTime": "2026-10-05T08:30:00+07:00",
        "valueQuantity": {
            "value": 135,
            "unit": "g/L",
            "system": "http://unitsofmeasure.org",
            "code": "g/L",
        },
    }
