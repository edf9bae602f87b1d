"""What a deed is given and gives: requests without a socket, answers without a connection.

The same routes and deeds serve the socket and the entries of a Bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ehr_server import clock
from ehr_server.errors import Invalid
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ehr_server.access.caller import Caller
    from ehr_server.changes.change import Change, Done, Means
    from ehr_server.changes.push import Push
    from ehr_server.changes.uploads import Upload
    from ehr_server.fhir.outcome import Language
    from ehr_server.settings import Settings
    from ehr_server.store.blobs import Blob
    from ehr_server.store.connect import Store

FHIR_JSON = "application/fhir+json; charset=utf-8"
FHIR_XML = "application/fhir+xml; charset=utf-8"

_PARTS = re.compile("[,;]")
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')


@dataclass(frozen=True, slots=True)
class Request:
    """A request below the base: `path` in decoded segments, `headers` with names in lower case.

    `private` are those of the query that came in a body, or sealed: an address that is given back
    does not show them. A Bundle entry brings its `resource` parsed, `where` that stands
    (`Bundle.entry[3].resource`) and, in a transaction, its `full_url`, in a batch the `push` that
    it is part of; the socket brings a `body`, nested `depth_max` at most, or an `upload`, the
    content of a Binary that came raw, or a `spooled` file of NDJSON to import.
    """

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    resource: dict[str, Any] | None = None
    where: str = ""
    full_url: str | None = None
    depth_max: int = json.DEPTH_MAX
    push: Push | None = None
    upload: Upload | None = None
    private: tuple[tuple[str, str], ...] = ()
    spooled: Path | None = None

    @property
    def blob(self) -> Blob | None:
        """Content that came raw and is too large to stand in the resource."""
        return self.upload.blob() if self.upload is not None else None

    def preference(self, name: str) -> str | None:
        """What the header Prefer says of it, in lower case; "" where it is named without a value.

        https://www.rfc-editor.org/rfc/rfc7240: `return=minimal, handling="lenient"; respond-async`.
        """
        for part in _PARTS.split(self.headers.get("prefer", "")):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"').lower()
        return None

    def language(self, otherwise: Language) -> Language:
        """Vietnamese or English, by Accept-Language: the first of the two that is named."""
        for part in self.headers.get("accept-language", "").split(","):
            tag = part.strip()[:2].lower()
            if tag == "vi":
                return "vi"
            if tag == "en":
                return "en"
        return otherwise

    def parsed(self) -> dict[str, Any]:
        """The resource in the body. Raises `Invalid` when there is none."""
        if self.resource is not None:
            return self.resource
        value = json.read(self.body, self.depth_max) if self.body else None
        if not isinstance(value, dict):
            raise Invalid(
                "The body must be one FHIR resource, a JSON object.",
                vi="Nội dung phải là một tài nguyên FHIR, tức một đối tượng JSON.",
            )
        return value


@dataclass(frozen=True, slots=True)
class Stream:
    """A body of `length` bytes, None where that is not known before its end, made while it is
    sent: each next of the `pieces` may ask the database, and none is asked for before the last was
    taken."""

    length: int | None
    pieces: Generator[bytes, None, None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back. `body` is bytes in `content_type`, or a stream of them; `done` is the
    write behind it, for the entry of a Bundle.
    """

    status: int
    body: bytes | Stream | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = FHIR_JSON
    done: Done | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table: `pattern` such as `{type}/{id}/_history`.

    `change` tells the intended write without doing it, so that a transaction can gather several;
    routes without it only read, or cannot stand in a transaction. `interaction` is the code of
    http://hl7.org/fhir/restful-interaction, or the name of an operation.
    """

    interaction: str
    method: str
    pattern: str
    deed: Callable[[Call], Answer]
    change: Callable[[Call], Change] | None = None


class Routes(Protocol):
    """The route table as the deeds see it, for the entries of a Bundle."""

    def match(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """The row for a request and the parts of its path. Raises NotFound or NotAllowed."""

    def answer(self, request: Request) -> Answer:
        """What the request is answered, refusals included."""

    def rows(self) -> Sequence[Route]:
        """All there is."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a deed: `parts` are what the pattern names, such as `type` and `id`."""

    request: Request
    parts: Mapping[str, str]
    caller: Caller
    store: Store
    means: Means
    settings: Settings
    routes: Routes

    @property
    def language(self) -> Language:
        """What to speak to this caller."""
        return self.request.language(self.settings.language)

    @property
    def base_url(self) -> str:
        """The address of the FHIR base, without a slash at the end."""
        return self.means.base_url


def etag(ver: int) -> str:
    """The weak entity tag of a version: https://hl7.org/fhir/R4/http.html#versioning."""
    return f'W/"{ver}"'


def version_headers(ver: int, at: datetime) -> dict[str, str]:
    """ETag and Last-Modified of a version."""
    return {"ETag": etag(ver), "Last-Modified": clock.http_date(at)}


def version_in(tag: str | None, name: str) -> int | None:
    """The version number in an entity tag such as `W/"3"`. Raises `Invalid`."""
    if tag is None:
        return None
    found = _ETAG.fullmatch(tag.strip())
    if found is None:
        raise Invalid(f'{name} must be a version such as W/"3".', vi=f'{name} phải có dạng W/"3".')
    return int(found.group(1))
