"""How long it takes to read one person's record of 8,500 resources: `$everything`, `$lastn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from harness import client
from harness.client import Load, request
from harness.measured import measured

if TYPE_CHECKING:
    from harness.figures import Figures
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
    store(server, _ID)
    return [asked(server, what, f"/fhir/{path}", seconds) for what, path in _QUESTIONS]


def store(server: Server, id_: str, **more: Any) -> None:
    """The whole record of a person of that id; `more` are elements of the Patient."""
    whole = [{**_person(id_), **more}, *(_observation(id_, at) for at in range(RESOURCES - 1))]
    bundles = [_bundle(whole[at : at + _AT_ONCE]) for at in range(0, len(whole), _AT_ONCE)]
    sent = [request("POST", "/fhir", server.name, one) for one in bundles]
    client.good(Load(server.address, sent))
    server.rows("analyze")


def asked(server: Server, what: str, path: str, seconds: float) -> Figures:
    """The row of one question, asked for so many seconds over one connection."""
    sent = [request("GET", path, server.name)]
    client.good(Load(server.address, sent * 10))  # warm
    return measured(server, what, Load(server.address, sent, 1, seconds), (1, "requests"))


def _person(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "gender": "female", "birthDate": "1974-05-20"}


def _observation(id_: str, at: int) -> dict[str, Any]:
    code = f"c{at % _CODES}"
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": f"{id_}-{at}",
        "status": "final",
        "category": [{"coding": [{"system": category, "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://example.org/lab", "code": code}], "text": code},
        "subject": {"reference": f"Patient/{id_}"},
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
