"""Whole lives that nobody here wrote, and a plain way to look through them.

Nothing of the server is used but its reader of JSON: what a search should find is decided by plain
comparisons of what was sent.
"""

import gzip
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ehr_server.fhir import json

BUNDLES = sorted(Path(__file__).parents[3].glob("shared/data/synthea-r4/*.json.gz"))

Resource = dict[str, Any]
Test = Callable[[Resource], bool]

_HANOI = timezone(timedelta(hours=7))
_FULL_URL = re.compile(r'"(urn:uuid:[0-9a-f-]{36})"')


class Lives:
    """The resources of Bundles as they were sent, with their links made relative."""

    def __init__(self, bundles: Iterable[Path]) -> None:
        by_place: dict[str, Resource] = {}
        for path in bundles:
            for resource in _bundle(path):
                by_place[f"{resource['resourceType']}/{resource['id']}"] = resource
        self.by_place = by_place
        self.resources = list(by_place.values())
        self.by_type: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self.by_type.setdefault(resource["resourceType"], []).append(resource)
        counted = Counter(link(one, "subject") for one in self.by_type["Observation"])
        self.person = by_place[counted.most_common(1)[0][0] or ""]
        self.patient: str = self.person["id"]

    def truth(self, type_name: str, *tests: Test) -> set[str]:
        """The ids of the resources of a type for which all of the tests hold."""
        return {
            resource["id"]
            for resource in self.by_type[type_name]
            if all(test(resource) for test in tests)
        }

    def leads(self, *path: str, to: Test) -> Test:
        """A test: a reference there leads to one for which the test holds."""
        return lambda resource: any(
            place in self.by_place and to(self.by_place[place]) for place in links(resource, *path)
        )

    def referred(self, type_name: str, *path: str, by: Test) -> Test:
        """A test: one of the type for which `by` holds refers to the resource."""
        places = {
            place for one in self.by_type[type_name] if by(one) for place in links(one, *path)
        }
        return lambda resource: f"{resource['resourceType']}/{resource['id']}" in places


def _bundle(path: Path) -> list[Resource]:
    text = gzip.decompress(path.read_bytes()).decode()
    given = [entry["resource"] for entry in json.read(text.encode())["entry"]]
    full_urls = [entry["fullUrl"] for entry in json.read(text.encode())["entry"]]
    places = {
        url: f"{resource['resourceType']}/{resource['id']}"
        for url, resource in zip(full_urls, given, strict=True)
    }
    text = _FULL_URL.sub(lambda match: f'"{places.get(match[1], match[1])}"', text)
    return [entry["resource"] for entry in json.read(text.encode())["entry"]]


def values(resource: Resource, *path: str) -> Iterator[Any]:
    """What lies at the end of the path, each item of a list by itself."""
    found: list[Any] = [resource]
    for step in path:
        found = [value[step] for value in found if step in value]
        found = [one for value in found for one in (value if isinstance(value, list) else [value])]
    return iter(found)


def links(resource: Resource, *path: str) -> list[str]:
    return [one for one in values(resource, *path, "reference") if isinstance(one, str)]


def link(resource: Resource, *path: str) -> str | None:
    return next(iter(links(resource, *path)), None)


def coded(code: str, *path: str, system: str | None = None) -> Test:
    """A test: one of the codings there has the code."""
    return lambda resource: any(
        coding.get("code") == code and system in (None, coding.get("system"))
        for coding in values(resource, *path, "coding")
    )


def about(patient: str, element: str = "subject") -> Test:
    return lambda resource: link(resource, element) == f"Patient/{patient}"


def measured(test: Callable[[float], bool], *path: str, unit: str | None = None) -> Test:
    """A test: one of the quantities there, in that unit, is as the test says."""
    return lambda resource: any(
        test(float(value["value"])) and unit in (None, value.get("code"))
        for value in values(resource, *path, "valueQuantity")
    )


def moment(text: str) -> datetime:
    """The first moment of a date, in Viet Nam where no zone is said."""
    full = text + "0000-01-01"[len(text) :] if len(text) < 10 else text
    found = datetime.fromisoformat(full.replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=_HANOI)).astimezone(UTC)


def plain(text: str) -> str:
    """Without case and accents."""
    parts = unicodedata.normalize("NFD", text.casefold()).replace("đ", "d")
    return "".join(one for one in parts if not unicodedata.combining(one))


def names(resource: Resource) -> list[str]:
    """Each part of the names, and each name as a whole, the family first."""
    parts = [
        part for key in ("family", "given", "prefix", "suffix", "text")
        for part in values(resource, "name", key)
    ]  # fmt: skip
    whole = [
        " ".join([name.get("family", ""), *name.get("given", [])]).strip()
        for name in resource.get("name", [])
    ]
    return [plain(part) for part in (*parts, *whole)]


def begins(start: str) -> Test:
    """A test: a name, or a word of one, begins so."""
    return lambda resource: any(
        name.startswith(start) or any(word.startswith(start) for word in name.split())
        for name in names(resource)
    )
