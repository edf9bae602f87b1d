"""The scopes of a token in SMART's words, those of version 1 too.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html: `patient/Observation.rs`,
`system/*.cruds`, `user/Observation.rs?category=laboratory`; version 1: `patient/Observation.read`.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl

from ehr_server.definitions import definitions

Context = Literal["patient", "user", "system"]
LETTERS = "cruds"  # create, read, update, delete, search; in a scope in this order
ALL = "*"

_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.([a-z]+|\*)(?:\?(.+))?")
_VERSION_1 = {"read": "rs", "write": "cud", "*": LETTERS}


@dataclass(frozen=True, slots=True)
class Scope:
    """What one scope grants: `letters` of `cruds` on resources of `type` (`*`: of any) that meet
    the names and values `where` of a search."""

    context: Context
    type: str
    letters: frozenset[str]
    where: tuple[tuple[str, str], ...] = ()


def scope(text: str) -> Scope | None:
    """None for a scope that grants no access to resources (`openid`, `launch/patient`), and for
    one that is not well formed: what is not understood grants nothing."""
    found = _SCOPE.fullmatch(text)
    if found is None:
        return None
    context, type_name, given, asked = found.groups()
    letters = _VERSION_1.get(given, given)
    is_ordered = letters == "".join(one for one in LETTERS if one in letters)
    if not is_ordered or (type_name != ALL and type_name not in definitions().type_number):
        return None
    where = tuple(parse_qsl(asked, keep_blank_values=True)) if asked else ()
    if asked and not where:
        return None
    return Scope(cast(Context, context), type_name, frozenset(letters), where)
