"""How long it takes to read one person's record of 8,500 resources: `$everything`, `$lastn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from harness import client
from harness.client import Load, Outcome, request
from harness.figures import Figures, figures
from harness.processes import usage

if TYPE_CHECKING:
    from harness.server import Server

RESOURCES = 8_500

_ID = "forty-years"
_AT_ONCE = 500
_CODES = 60  # kinds of observations
_QUESTIONS = (
    ("$everything?_count=50", f"Patient/{_ID}/$everything?_count=50"),
    ("$everything?_count=1000", f"Patient/{_ID}/$everything?_count=1000"),
    ("$everything, all in one Bundle", f"Patient/{_ID}/$everything"),
    ("$lastn of all, max=5", f"Observation/$lastn?patient={_ID}&category=laboratory&max=5"),
    ("$lastn of one code", f"Observation/$lastn?patient={_ID}&code=http://example.org/lab%7Cc7"),
)


def rows(server: Server, seconds: float) -> list[Figures]:
    """Stores the record, then asks each question for so many seconds over one connection."""
    whole = [_person(), *(_observation(at) for at in range(RESOURCES - 1))]
    bundles = [_bundle(whole[at : at + _AT_ONCE]) for at in range(0, len(whole), _AT_ONCE)]
    sent = [request("POST", "/fhir", server.name, one) for one in bundles]
    _good(client.run(Load(server.address, sent)))
    server.rows("analyze")
    return [_row(server, what, path, seconds) for what, path in _QUESTIONS]


def _row(server: Server, what: str, path: str, seconds: float) -> Figures:
    asked = [request("GET", f"/fhir/{path}", server.name)]
    _good(client.run(Load(server.address, asked)))  # warm
    before = usage(server.pid)
    outcome = _good(client.run(Load(server.address, asked, 1, seconds)))
    counted = (len(outcome.latencies), "requests")
    return figures(what, 1, counted, outcome, usage(server.pid) - before)


def _good(outcome: Outcome) -> Outcome:
    if not outcome.is_good:
        raise RuntimeError(f"{outcome.statuses}: {outcome.refusal[:2000].decode()}")
    return outcome


def _person() -> dict[str, Any]:
    return {"resourceType": "Patient", "id": _ID, "gender": "female", "birthDate": "1974-05-20"}


def _observation(at: int) -> dict[str, Any]:
    code = f"c{at % _CODES}"
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": f"{_ID}-{at}",
        "status": "final",
        "category": [{"coding": [{"system": category, "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://example.org/lab", "code": code}], "text": code},
        "subject": {"reference": f"Patient/{_ID}"},
        "effectiveDateTime": f"{1986 + at % 40}-{1 + at % 12:02}-{1 + at % 28:02}",
        "valueQuantity": {
            "value": at % 97,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "note": [{"text": "Lấy mẫu lúc đói, mẫu máu tĩnh mạch; đã đối chiếu với lần trước."}],
    }


def _bundle(resources: list[dict[str, Any]]) -> bytes:
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    return json.write({"resourceType": "Bundle", "type": "transaction", "entry": entries})
