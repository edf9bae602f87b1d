"""What the server's settings and the request say about how values are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server.search.parameters import STANDARD, Parameters

if TYPE_CHECKING:
    from datetime import tzinfo

    from ehr_server.terminology import Terminology


@dataclass(frozen=True, slots=True)
class Rules:
    """`zone` is that of dates without one; `base` this server's own address, such as
    `http://here/fhir`; `count` the size of a page when the client says none, `count_max` the
    largest; `lenient`: leave unknown parameters out instead of refusing the search; `parameters`:
    what can be searched by; `terminology`: the code lists there are, for `:in` and its like."""

    zone: tzinfo
    base: str = ""
    count: int = 50
    count_max: int = 1000
    lenient: bool = False
    parameters: Parameters = STANDARD
    terminology: Terminology | None = None
