"""What the server's settings and the request say about how values are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.setting import SettingError

if TYPE_CHECKING:
    from datetime import tzinfo

    from ehr_server.terminology import Terminology

ALL = "*"


@lru_cache(maxsize=8)
def full_text(types: str) -> frozenset[str]:
    """The types, or `*`, that the setting `full_text` names. Raises `SettingError`."""
    found = frozenset(part for part in (one.strip() for one in types.split(",")) if part)
    for name in sorted(found - {ALL}):
        if name not in definitions().type_number:
            raise SettingError(
                f"--full-text (EHR_FULL_TEXT) takes resource types or *, not {name!r}"
            )
    return found


@dataclass(frozen=True, slots=True)
class Rules:
    """`zone` is that of dates without one; `base` this server's own address, such as
    `http://here/fhir`; `count` the size of a page when the client says none, `count_max` the
    largest; `lenient`: leave unknown parameters out instead of refusing the search; `parameters`:
    what can be searched by; `terminology`: the code lists there are, for `:in` and its like;
    `full_text`: the types, or `*`, that are found by their words."""

    zone: tzinfo
    base: str = ""
    count: int = 50
    count_max: int = 1000
    lenient: bool = False
    parameters: Parameters = STANDARD
    terminology: Terminology | None = None
    full_text: frozenset[str] = frozenset((ALL,))

    def has_full_text(self, type_name: str) -> bool:
        """Whether the words of resources of the type are in the index."""
        return not self.full_text.isdisjoint((type_name, ALL))
