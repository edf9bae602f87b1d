"""The functions, one row each: name, number of arguments, and what it compiles to.

http://hl7.org/fhirpath/N1/#functions and https://hl7.org/fhir/R4/fhirpath.html#functions. A new
function is a new row of its room; nothing else has to change.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ehr_server.fhirpath.functions import (
    boundary,
    conversion,
    existence,
    fhir,
    filtering,
    strings,
    subsetting,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.fhirpath.functions.row import Function

_ROOMS = (existence, filtering, subsetting, strings, conversion, boundary, fhir)

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {name: row for room in _ROOMS for name, row in room.ROWS.items()}
)
