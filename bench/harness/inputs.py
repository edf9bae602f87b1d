"""What is loaded and asked: Bundles of two sources, and requests made from the answers."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from campaign import Plan, bundles
from ehr_server.fhir import json
from harness.client import request

if TYPE_CHECKING:
    from collections.abc import Sequence

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea-r4"

Resource = dict[str, Any]


@dataclass(slots=True)
class Source:
    """Bundles to load, in order; the first `first` must be there before the others.

    Loaded `again`, they make new resources, which a campaign does not: it knows its residents.
    """

    name: str
    bundles: list[bytes]
    first: int
    again: int = 0

    def sizes(self) -> list[int]:
        """The number of resources in each Bundle."""
        return [len(json.read_own(bundle)["entry"]) for bundle in self.bundles]


@dataclass(slots=True)
class Stored:
    """What is known of the loaded resources: where they are and what can be asked of them."""

    locations: list[str] = field(default_factory=list)  # "Observation/01m..."
    identifiers: list[str] = field(default_factory=list)  # "system|value" of Patients
    codes: list[tuple[str, str]] = field(default_factory=list)  # (patient id, "system|code")
    samples: list[Resource] = field(default_factory=list)  # Observations, linked to their Patient

    def learn(self, bundle: bytes, answer: bytes) -> None:
        """Takes in a transaction and its answer."""
        sent, answered = json.read(bundle)["entry"], json.read_own(answer)["entry"]
        places = [_place(entry["response"]["location"]) for entry in answered]
        links = {
            entry["fullUrl"]: place
            for entry, place in zip(sent, places, strict=True)
            if "fullUrl" in entry
        }
        self.locations += places
        for entry in sent:
            self._learn(entry["resource"], links)

    def _learn(self, resource: Resource, links: dict[str, str]) -> None:
        if resource["resourceType"] == "Patient":
            number = resource["identifier"][0]
            self.identifiers.append(f"{number['system']}|{number['value']}")
        if resource["resourceType"] != "Observation":
            return
        patient = links.get(resource["subject"]["reference"])
        coding = resource["code"]["coding"][0]
        if patient is not None:
            self.codes.append((patient.partition("/")[2], f"{coding['system']}|{coding['code']}"))
            if len(self.samples) < 2_000:
                self.samples.append({**_plain(resource), "subject": {"reference": patient}})


def campaign(residents: int) -> Source:
    """A campaign of one year."""
    return Source("campaign", [json.write(one) for one in bundles(Plan(residents))], 1)


def synthea(count: int) -> Source | None:
    """The first Bundles of the shared data; None where it does not lie beside the checkout."""
    files = sorted(SYNTHEA.glob("*.json.gz"))[:count]
    if not files:
        return None
    return Source("synthea", [gzip.decompress(path.read_bytes()) for path in files], 0, again=5)


def transactions(loads: Sequence[bytes], host: str) -> list[bytes]:
    return [request("POST", "/fhir", host, bundle) for bundle in loads]


def creates(stored: Stored, host: str) -> list[bytes]:
    """Single creates of Observations like those that were loaded."""
    return [
        request("POST", "/fhir/Observation", host, json.write(sample)) for sample in stored.samples
    ]


def reads(stored: Stored, host: str) -> list[bytes]:
    chosen = _some(stored.locations)
    return [request("GET", f"/fhir/{location}", host) for location in chosen]


def identifier_searches(stored: Stored, host: str) -> list[bytes]:
    return [
        request("GET", f"/fhir/Patient?identifier={quote(number, safe='')}", host)
        for number in _some(stored.identifiers)
    ]


def newest_searches(stored: Stored, host: str) -> list[bytes]:
    """The newest ten Observations of a patient and a code."""
    return [
        request(
            "GET",
            f"/fhir/Observation?patient={patient}&code={quote(code, safe='')}"
            "&_sort=-date&_count=10",
            host,
        )
        for patient, code in _some(stored.codes)
    ]


def _some(everything: list[Any]) -> list[Any]:
    return Random(1).sample(everything, min(len(everything), 2_000))


def _place(location: str) -> str:
    """`Observation/01m...` of an absolute or relative location with its version."""
    parts = location.split("/_history/")[0].split("/")
    return "/".join(parts[-2:])


def _plain(resource: Resource) -> Resource:
    """Without links to other entries of the transaction it came in."""
    return {
        name: value
        for name, value in resource.items()
        if name not in ("id", "encounter", "performer", "hasMember", "derivedFrom", "specimen")
    }
