"""The small record that the table of access is asked of, and the bodies of its requests.

What a request would change is made anew for each: `{observation}` is a fresh one.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.patients import resident
from ehr_server.access.caller import Caller
from ehr_server.app import start_workers
from ehr_server.fhir import json
from inside import Inside, caller, inside

Resource = dict[str, Any]

LOINC = "http://loinc.org"
LAB = "http://terminology.hl7.org/CodeSystem/observation-category"

# Whom the columns stand for: the facts of their tokens. nobody has none, and asks over HTTP.
FACTS: Mapping[str, Mapping[str, Any]] = {
    "bv1": {"policy": "facility", "facility": "bv1"},
    "bv2": {"policy": "facility", "facility": "bv2"},
    "self": {"policy": "person", "scopes": ("patient/*.cruds",), "patient": "p1"},
    "other": {"policy": "person", "scopes": ("patient/*.cruds",), "patient": "p2"},
    "team": {"policy": "data-team"},
    "admin": {"policy": "administrator"},
    "registrar": {"policy": "registrar"},
    "all": {"policy": "everything"},
    "lab": {
        "policy": "facility",
        "facility": "bv1",
        "scopes": ("system/Observation.rs?category=laboratory",),
    },
    "reads": {"policy": "facility", "facility": "bv1", "scopes": ("system/*.rs",)},
    "launch": {
        "policy": "facility",
        "facility": "bv1",
        "patient": "p1",
        "scopes": ("patient/*.cruds",),
    },
}
CALLERS: Mapping[str, Caller] = {name: caller(name, **facts) for name, facts in FACTS.items()}

ASYNC = {"prefer": "respond-async"}
_VIEW = {"resourceType": "ViewDefinition", "resource": "Patient",
         "select": [{"column": [{"name": "id", "path": "id"}]}]}  # fmt: skip
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def referring(text: str) -> Resource:
    """A Reference."""
    return {"reference": text}


def observation(patient: str, code: str = "29463-7", **more: Any) -> Resource:
    """An Observation of a Patient, by a LOINC code."""
    coding = {"coding": [{"system": LOINC, "code": code}]}
    about = {"code": coding, "subject": referring(f"Patient/{patient}")}
    return {"resourceType": "Observation", "status": "final", **about, **more}


def encounter(facility: str) -> Resource:
    """An Encounter of p1 with a facility."""
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": _ACT, "code": "AMB"},
        "subject": referring("Patient/p1"),
        "serviceProvider": referring(f"Organization/{facility}"),
    }


def task(owner: str, requester: str) -> Resource:
    """A Task from one facility to another."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "for": referring("Patient/p1"),
        "owner": referring(f"Organization/{owner}"),
        "requester": referring(f"Organization/{requester}"),
    }


def binary(**more: Any) -> Resource:
    """A little text."""
    return {"resourceType": "Binary", "contentType": "text/plain", "data": "eA==", **more}


def parameters(*several: tuple[str, str, Any]) -> Resource:
    """Parameters of (name, element, value)."""
    listed = [{"name": name, element: value} for name, element, value in several]
    return {"resourceType": "Parameters", "parameter": listed}


def bundle(kind: str, *entries: Resource) -> Resource:
    """A Bundle."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


_CONSENT: Resource = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                          "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
    "patient": {"reference": "Patient/p1"},
    "policyRule": {"coding": [{"system": _ACT, "code": "OPTIN"}]},
}  # fmt: skip
_COMPOSITION: Resource = {
    "resourceType": "Composition",
    "status": "final",
    "type": {"coding": [{"system": LOINC, "code": "34133-9"}]},
    "subject": {"reference": "Patient/p1"},
    "date": "2026-01-01",
    "author": [{"reference": "Practitioner/d1"}],
    "title": "Tóm tắt",
}
_VALUE_SET: Resource = {
    "resourceType": "ValueSet",
    "url": "http://example.org/v1",
    "status": "active",
    "compose": {"include": [{"system": "http://example.org/s1", "concept": [{"code": "a"}]}]},
}
_CODES: Resource = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/s1",
    "status": "active",
    "content": "complete",
    "concept": [{"code": "a"}],
}
_MAP: Resource = {
    "resourceType": "ConceptMap",
    "url": "http://example.org/m1",
    "status": "active",
    "group": [
        {
            "source": "http://example.org/s1",
            "target": "http://example.org/s2",
            "element": [{"code": "a", "target": [{"code": "b", "equivalence": "equal"}]}],
        }
    ],
}
_LIBRARY: Resource = {
    "resourceType": "Library",
    "status": "active",
    "type": {"coding": [{"code": "logic-library"}]},
    "content": [{"contentType": "application/json", "data": b64encode(json.write(_VIEW)).decode()}],
}
_GROUP: Resource = {
    "resourceType": "Group",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": "Patient/p1"}}],
}

# By the name behind `<` in the table: the body, and headers.
_BODIES: Mapping[str, tuple[Callable[[], Any], Mapping[str, str]]] = {
    "observation": (lambda: observation("p1"), {}),
    "encounter": (lambda: encounter("bv1"), {}),
    "encounter-of-bv2": (lambda: encounter("bv2"), {}),
    "patient": (resident, {}),
    "task": (lambda: task("bv2", "bv1"), {}),
    "consent": (lambda: _CONSENT, {}),
    "organization": (lambda: {"resourceType": "Organization", "name": "BV"}, {}),
    "practitioner": (lambda: {"resourceType": "Practitioner"}, {}),
    "valueset": (lambda: {"resourceType": "ValueSet", "status": "draft"}, {}),
    "binary": (lambda: binary(securityContext=referring("Patient/p1")), {}),
    "group": (lambda: _GROUP, {}),
    "document": (lambda: {"resourceType": "Bundle", "type": "collection"}, {}),
    "patch": (
        lambda: [{"op": "replace", "path": "/status", "value": "amended"}],
        {"content_type": "application/json-patch+json"},
    ),
    "labels": (
        lambda: parameters(("meta", "valueMeta", {"tag": [{"code": "seen"}]})),
        {},
    ),
    "batch-of-a-read": (
        lambda: bundle("batch", {"request": {"method": "GET", "url": "Patient/p1"}}),
        {},
    ),
    "transaction": (
        lambda: bundle(
            "transaction",
            {"request": {"method": "POST", "url": "Observation"}, "resource": observation("p1")},
        ),
        {},
    ),
    "somebody": (lambda: resident("001174400001"), {}),
    "merge": (
        lambda: parameters(
            ("source-patient", "valueReference", referring("Patient/{patient}")),
            ("target-patient", "valueReference", referring("Patient/{patient2}")),
        ),
        {},
    ),
    "unmerge": (
        lambda: parameters(
            ("source-patient", "valueReference", referring("Patient/{merged}")),
        ),
        {},
    ),
    "async": (lambda: None, ASYNC),
    "import": (
        lambda: {
            "inputFormat": "application/fhir+ndjson",
            "input": [{"type": "Patient", "url": "file:patients.ndjson"}],
        },
        ASYNC,
    ),
    "view": (lambda: parameters(("viewResource", "resource", _VIEW)), {}),
    "view-async": (
        lambda: {
            "resourceType": "Parameters",
            "parameter": [{"name": "view", "part": [{"name": "viewResource", "resource": _VIEW}]}],
        },
        ASYNC,
    ),
}


@dataclass
class Asked:
    """A request of the table with everything filled in."""

    request: str
    body: Any
    headers: Mapping[str, str]


class Record:
    """The record, and the jobs that were done of it. `names`: what stands for `{export}`."""

    def __init__(self, here: Inside) -> None:
        self.here = here
        self.names: dict[str, str] = {}
        self._fill()
        self._work()

    def asked(self, text: str) -> Asked:
        """A request of the table; what is named in it is made."""
        request, _, name = text.partition(" < ")
        make, headers = _BODIES[name] if name else (lambda: None, {})
        body = json.write(make()).decode()
        for one in ("observation", "patient", "patient2", "merged", "binary", *_JOBS):
            there = "{" + one + "}"
            if there in request or there in body:
                id_ = self._fresh(one)
                request, body = request.replace(there, id_), body.replace(there, id_)
        for one, value in self.names.items():
            request = request.replace("{" + one + "}", value)
        resource = json.read(body.encode())
        method, _, address = request.partition(" ")
        path = address.partition("?")[0].split("/")
        if method == "PUT" and len(path) == 2:
            resource["id"] = path[1]
        return Asked(request, resource, headers)

    def _fresh(self, name: str) -> str:
        if name in _JOBS:
            whose, request, body = _JOBS[name]
            return self._job(whose, request, body)
        if name == "merged":
            source, target = self._fresh("patient"), self._fresh("patient2")
            both = [
                (f"{role}-patient", "valueReference", referring(f"Patient/{id_}"))
                for role, id_ in (("source", source), ("target", target))
            ]
            asked = self.here.ask(CALLERS["all"], "POST Patient/$merge", parameters(*both))
            assert asked.status == 200, asked.body
            return source
        kind = name.rstrip("2")
        made = self.here.ask(CALLERS["bv1"], f"POST {kind.title()}", _BODIES[kind][0]())
        assert made.status == 201, made.body
        return str(made.resource["id"])

    def _job(self, whose: str, request: str, body: str) -> str:
        make, headers = _BODIES[body]
        asked = self.here.ask(CALLERS[whose], request, make(), **headers)
        assert asked.status == 202, asked.body
        return asked.headers["Content-Location"].rpartition("/")[2]

    def _fill(self) -> None:
        by = {one: CALLERS[one] for one in ("bv1", "bv2", "all")}
        put = self.here.put
        put(
            {"resourceType": "Organization", "id": "bv1", "name": "bv1"},
            {"resourceType": "Organization", "id": "bv2", "name": "bv2"},
            {**_VALUE_SET, "id": "v1"}, {**_CODES, "id": "s1"}, {**_MAP, "id": "m1"},
            {**_LIBRARY, "id": "w1"}, by=by["all"],
        )  # fmt: skip
        number = {"system": "http://example.org/mrn", "value": "p1-number"}
        mine = resident("001174400001")
        put(
            {**mine, "id": "p1", "identifier": [*mine["identifier"], number]},
            {"resourceType": "Practitioner", "id": "d1"},
            {**encounter("bv1"), "id": "e1"},
            {**observation("p1"), "id": "o1"},
            {**_COMPOSITION, "id": "c1"},
            {**_GROUP, "id": "g1"},
            {**task("bv2", "bv1"), "id": "t1"},
            {**observation("p1", "718-7"), "id": "l1",
             "category": [{"coding": [{"system": LAB, "code": "laboratory"}]}]},
            {**binary(securityContext=referring("Patient/p1")), "id": "b1"},
            {**binary(), "id": "b0"},
            by=by["bv1"],
        )  # fmt: skip
        put({**resident(), "id": "p2"}, by=by["bv2"])
        other = task("bv2", "bv2")
        put({**other, "id": "t2", "for": referring("Patient/p2")}, by=by["bv2"])
        pushed = self.here.ask(
            by["bv1"], "POST Observation", observation("p1"), idempotency_key="push-1"
        )
        assert pushed.status == 201, pushed.body

    def _work(self) -> None:
        """An export, a view and an import are done, and a request in the background."""
        for name, (whose, request, body) in _JOBS.items():
            self.names[name.removeprefix("queued-")] = self._job(whose, request, body)
        with ExitStack() as opened:
            start_workers(self.here.dispatch, opened)
            for name, place in (("export", "$export-status"), ("import", "$import-status"),
                                ("views", "$viewdefinition-export-status"),
                                ("async", "$async-status")):  # fmt: skip
                self._wait(_JOBS[f"queued-{name}"][0], f"GET {place}/{self.names[name]}")
        status = self.here.ask(CALLERS["team"], f"GET $export-status/{self.names['export']}")
        self.names["file"] = status.resource["output"][0]["url"].rpartition("/")[2]
        status = self.here.ask(CALLERS["registrar"], f"GET $import-status/{self.names['import']}")
        self.names["report"] = status.resource["error"][0]["url"].rpartition("/")[2]

    def _wait(self, whose: str, asked: str) -> None:
        until = time.monotonic() + 60
        while self.here.ask(CALLERS[whose], asked).status == 202:
            assert time.monotonic() < until, asked
            threading.Event().wait(0.05)


_JOBS = {
    "queued-export": ("team", "GET Patient/$export", "async"),
    "queued-import": ("registrar", "POST $import", "import"),
    "queued-views": ("team", "POST $viewdefinition-export", "view-async"),
    "queued-async": ("bv1", "GET Observation?patient=p1", "async"),
}


@contextmanager
def recorded(database: str, folder: Path) -> Iterator[Record]:
    """The record in a database; files of jobs go to the folder."""
    line = json.write({**resident("001174400002"), "id": "imported"})
    (folder / "patients.ndjson").write_bytes(line + b"\nno JSON\n")
    settings = {"data_dir": str(folder), "import_dir": str(folder), "processes": "1"}
    with inside(database, **settings, import_workers="1", duplicates="off") as here:
        yield Record(here)
