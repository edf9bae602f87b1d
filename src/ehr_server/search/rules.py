"""What the server's settings and the request say about how values are read."""

from dataclasses import dataclass
from datetime import tzinfo


@dataclass(frozen=True, slots=True)
class Rules:
    """`zone` is that of dates without one; `base` this server's own address, such as
    `http://here/fhir`; `count` the size of a page when the client says none, `count_max` the
    largest; `lenient`: leave unknown parameters out instead of refusing the search."""

    zone: tzinfo
    base: str = ""
    count: int = 50
    count_max: int = 1000
    lenient: bool = False
