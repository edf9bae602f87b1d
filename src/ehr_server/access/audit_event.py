"""A row of the access log as an AuditEvent.

https://hl7.org/fhir/R4/auditevent.html, after the patterns of IHE's Basic Audit Log Patterns
(https://profiles.ihe.net/ITI/BALP/): who asked and what served as source and destination of the
data, the person, the resource or the search, and X-Request-Id as entities. The network address of
a client, which those profiles ask for, is not in the log; so no profile is claimed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.store.access_log import nobody

if TYPE_CHECKING:
    from ehr_server.access.looks import Key, Look

BREAK_GLASS = "BTG"

_BALP = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"

_SOURCE = {"system": _DCM, "code": "110153", "display": "Source Role ID"}
_DESTINATION = {"system": _DCM, "code": "110152", "display": "Destination Role ID"}

_ACTIONS = {
    **dict.fromkeys(("read", "vread", "history-instance", "history-type", "history-system"), "R"),
    "create": "C",
    "update": "U",
    "patch": "U",
    "delete": "D",
}
_SEARCHES = ("search-type", "search-system", "search-compartment")
_CODES = {"search-compartment": "search"}
# What the value set of interactions has; all else is an operation.
_KNOWN = {*_ACTIONS, *_SEARCHES, "transaction", "batch", "capabilities"}

_ID = re.compile(r"log-(?:([0-9a-f]{16})-)?([0-9a-f]{16})")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]{2,63}/[A-Za-z0-9\-.]{1,64}")


def action(deed: str) -> str:
    """The code of https://hl7.org/fhir/R4/valueset-audit-event-action.html for what was done."""
    return _ACTIONS.get(deed, "E")


def outcome(status: int) -> str:
    """The code of https://hl7.org/fhir/R4/valueset-audit-event-outcome.html for an HTTP status."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def id_of(look: Look) -> str:
    """The id of the AuditEvent, by which its row is found."""
    person = f"{look.comp % 2**64:016x}-" if look.is_of_a_person else ""
    return f"log-{person}{look.id:016x}"


def is_of_log(id_: str) -> bool:
    """Whether an AuditEvent of the id is one of the log: nobody else may call one so."""
    return id_.startswith("log-")


def key_of(id_: str) -> Key | None:
    """The row of an AuditEvent of the log; None for the id of another."""
    found = _ID.fullmatch(id_)
    if found is None:
        return None
    row = int(found[2], 16)
    if found[1] is None:
        return row, nobody(row)
    comp = int(found[1], 16)
    return row, comp - 2**64 if comp >= 2**63 else comp


def audit_event(look: Look, patient: str | None, base_url: str) -> dict[str, Any]:
    """The AuditEvent; `patient` is the id of the person's Patient, None where it is gone."""
    made: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": id_of(look),
        "meta": {"versionId": "1", "lastUpdated": clock.instant(look.at)},
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation",
        },
        "subtype": _subtype(look.deed),
        "action": action(look.deed),
        "recorded": clock.instant(look.at),
        "outcome": outcome(look.status),
        "outcomeDesc": f"HTTP {look.status}",
    }
    purpose = _purpose(look)
    if purpose is not None:
        made["purposeOfEvent"] = [purpose]
    made["agent"] = _agents(look, base_url)
    made["source"] = {
        "site": base_url,
        "observer": {"display": "ehr-server"},
        "type": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                "code": "4",
                "display": "Application Server",
            }
        ],
    }
    made["entity"] = _entities(look, patient)
    return made


def _subtype(deed: str) -> list[dict[str, str]]:
    if deed in _KNOWN:
        return [{"system": _INTERACTION, "code": _CODES.get(deed, deed)}]
    operation = {"system": _INTERACTION, "code": "operation"}
    if "://" in deed:
        return [operation, {"system": "urn:ietf:rfc:3986", "code": deed}]
    return [{**operation, "display": deed}]


def _purpose(look: Look) -> dict[str, Any] | None:
    code = look.who.get("purpose")
    if not code:
        return None
    made: dict[str, Any] = {"coding": [{"system": _REASON, "code": code}]}
    return {**made, "text": look.who["reason"]} if look.who.get("reason") else made


def _agents(look: Look, base_url: str) -> list[dict[str, Any]]:
    who, is_read = look.who, action(look.deed) == "R"
    user = who.get("user") or who.get("subject")
    has_user = bool(user) and user != who.get("client")
    client = who.get("client") or who.get("name")
    agents: list[dict[str, Any]] = [
        {
            "type": {"coding": [_DESTINATION if is_read else _SOURCE]},
            "who": {"identifier": {"value": client}} if client else {"display": "unknown client"},
            "requestor": not has_user,
        },
        {
            "type": {"coding": [_SOURCE if is_read else _DESTINATION]},
            "who": {"display": base_url},
            "requestor": False,
            "network": {"address": base_url, "type": "5"},
        },
    ]
    if has_user and user:
        code = "AUT" if action(look.deed) in ("C", "U", "D") else "IRCP"
        agent = {
            "type": {"coding": [{"system": _PARTICIPATION, "code": code}]},
            "who": _reference(user),
            "requestor": True,
        }
        purpose = _purpose(look)
        agents.append({**agent, "purposeOfUse": [purpose]} if purpose else agent)
    if who.get("facility"):
        agents.append(
            {
                "type": {"coding": [{"system": _PARTICIPATION, "code": "CST"}]},
                "who": _reference(f"Organization/{who['facility']}"),
                "requestor": False,
            }
        )
    return agents


def _reference(text: str) -> dict[str, Any]:
    if _REFERENCE.fullmatch(text):
        return {"reference": text}
    return {"identifier": {"value": text}}


def _entities(look: Look, patient: str | None) -> list[dict[str, Any]]:
    object_ = {"system": _ENTITY, "code": "2", "display": "System Object"}
    made: list[dict[str, Any]] = []
    if look.request:
        kind = {"system": _BALP, "code": "XrequestId"}
        made.append({"what": {"identifier": {"value": look.request}}, "type": kind})
    if look.is_of_a_person:
        entity = {
            "type": {"system": _ENTITY, "code": "1", "display": "Person"},
            "role": {"system": _ROLE, "code": "1", "display": "Patient"},
            "detail": [{"type": "resources", "valueString": str(look.resources)}],
        }
        what = {"reference": f"Patient/{patient}"} if patient else {"display": "removed"}
        made.append({"what": what, **entity})
    if look.deed in _SEARCHES:
        asked = b64encode(look.what.encode()).decode()
        role = {"system": _ROLE, "code": "24", "display": "Query"}
        entity = {"type": object_, "role": role, "description": look.what or "all types"}
        made.append({**entity, "query": asked} if asked else entity)
    elif look.what:
        role = {"system": _ROLE, "code": "4", "display": "Domain Resource"}
        entity = {"type": object_, "role": role}
        if _REFERENCE.fullmatch(look.what):
            made.append({"what": {"reference": look.what}, **entity})
        else:
            made.append({**entity, "description": look.what})
    return made
