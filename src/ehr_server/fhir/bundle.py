"""Bundles put together from stored bytes, without parsing them.

https://hl7.org/fhir/R4/bundle.html. 50 entries take 15 µs so, against 191 µs decoded.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

from ehr_server import clock
from ehr_server.fhir import json

Link = tuple[str, str]  # relation, url

_MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_TYPE_AT = len(b'{"resourceType":"')
_TO_ID = b'","id":"'
_VERSION_ID = b'"meta":{"versionId":"'


def identity(content: bytes) -> tuple[str, str]:
    """`(type, id)` of a stored content, which begins `{"resourceType":"T","id":"ID","meta":`."""
    start = content.index(_TO_ID, _TYPE_AT)
    id_at = start + len(_TO_ID)
    return content[_TYPE_AT:start].decode(), content[id_at : content.index(b'"', id_at)].decode()


def version(content: bytes) -> int:
    """The version of a stored content, which goes on `"meta":{"versionId":"VER","lastUpdated":`."""
    start = content.index(_VERSION_ID) + len(_VERSION_ID)
    return int(content[start : content.index(b'"', start)])


def bundle(
    kind: str, entries: Iterable[bytes], links: Sequence[Link] = (), total: int | None = None
) -> bytes:
    """A Bundle of type `kind` as JSON; `entries` are made by the functions below."""
    head = json.write(
        {
            "resourceType": "Bundle",
            "type": kind,
            **({} if total is None else {"total": total}),
            **({"link": [{"relation": r, "url": u} for r, u in links]} if links else {}),
        }
    )
    body = b",".join(entries)
    return head[:-1] + b',"entry":[' + body + b"]}" if body else head


def url(here: str, pairs: Iterable[tuple[str, str]]) -> str:
    """An address with the names and values, for a link."""
    query = urlencode(list(pairs), quote_via=quote, safe="|,:/")
    return f"{here}?{query}" if query else here


def search_entry(base_url: str, content: bytes, mode: str) -> bytes:
    """An entry of a searchset; `mode` is match, include or outcome."""
    return b"".join(
        (_full_url(base_url, content), b',"resource":', content, _MODE[mode]),
    )


def matched_entry(base_url: str, content: bytes, grade: str, score: float) -> bytes:
    """An entry of the searchset of Patient/$match: how sure it is, and the score from 0 to 1.

    https://hl7.org/fhir/R4/patient-operation-match.html
    """
    extension = {"url": _MATCH_GRADE, "valueCode": grade}
    search = {"extension": [extension], "mode": "match", "score": score}
    return b"".join(
        (_full_url(base_url, content), b',"resource":', content, b',"search":',
         json.write(search), b"}"),
    )  # fmt: skip


def history_entry(
    base_url: str, content: bytes, version: tuple[int, datetime], done: tuple[str, int]
) -> bytes:
    """An entry of a history: `version` is its number and instant, `done` the method and status
    that made it. A deletion has no resource.
    """
    type_name, id_ = identity(content)
    (ver, at), (method, status) = version, done
    url = type_name if method == "POST" else f"{type_name}/{id_}"
    made = json.write(
        {
            "request": {"method": method, "url": url},
            "response": {
                "status": str(status),
                "etag": f'W/"{ver}"',
                "lastModified": clock.instant(at),
            },
        }
    )
    resource = b"" if method == "DELETE" else b',"resource":' + content
    return b"".join((_full_url(base_url, content), resource, b",", made[1:]))


_MODE = {
    mode: b',"search":{"mode":"' + mode.encode() + b'"}}'
    for mode in ("match", "include", "outcome")
}


def _full_url(base_url: str, content: bytes) -> bytes:
    type_name, id_ = identity(content)
    return f'{{"fullUrl":"{base_url}/{type_name}/{id_}"'.encode()
