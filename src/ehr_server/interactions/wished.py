"""In which form a Binary is wished for: as itself, or as a resource in a type of FHIR.

https://hl7.org/fhir/R4/binary.html: as itself, unless the reader names a type of FHIR. Where both
are named the one that is liked better is given, of equals the content's own type.
"""

from collections.abc import Iterator
from enum import Enum

from ehr_server.call import Request


class Wish(Enum):
    """The forms in which a Binary is served."""

    CONTENT = "content"
    JSON = "json"
    XML = "xml"


_FHIR = {
    "application/fhir+json": Wish.JSON,
    "application/json": Wish.JSON,
    "text/json": Wish.JSON,
    "json": Wish.JSON,
    "application/fhir+xml": Wish.XML,
    "application/xml": Wish.XML,
    "text/xml": Wish.XML,
    "xml": Wish.XML,
}
_NAMED = ("application/fhir+json", "application/fhir+xml")  # the others are anybody's
_ANY = "*/*"


def wished(request: Request, own_type: str) -> Wish:
    """The form to serve content of the type `own_type` in."""
    format_ = dict(request.query).get("_format")
    asked = format_.replace(" ", "+") if format_ else request.headers.get("accept", "")
    liked = dict(_liked(asked))
    own = own_type.partition(";")[0].strip().lower()
    if own in _NAMED:  # who names it wishes for the Binary, of which that is the content
        own = ""
    named = [kind for kind in _FHIR if kind in liked and kind != own]
    if own in liked or _ANY in liked:  # a browser names XML, and takes anything
        named = [kind for kind in named if kind in _NAMED]
    if not named:
        return Wish.CONTENT
    best = max(named, key=lambda kind: liked[kind])
    is_better = liked[best] > liked.get(own, 0) and liked[best] >= liked.get(_ANY, 0)
    return _FHIR[best] if is_better else Wish.CONTENT


def _liked(asked: str) -> Iterator[tuple[str, float]]:
    """The types that are named and how much they are liked, from 0 to 1."""
    for part in asked.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            liking = float(quality)
        except ValueError:
            liking = 0.0
        if kind and liking > 0:
            yield kind, liking
