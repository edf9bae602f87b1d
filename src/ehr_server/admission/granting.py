"""Which scopes a client is granted: what it asks for, as far as it is registered for that.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html: `system/Observation.rs`, with
search parameters `system/Observation.rs?category=laboratory`, and of the first version
`system/Observation.read`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LETTERS = "cruds"
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?|read|write|\*)(?:\?([!-~]+))?", re.A)


@dataclass(frozen=True, slots=True)
class SystemScope:
    """A scope of a program on its own account: a type (`*` for all), letters of `cruds`, and what
    the resources are found by, a text each."""

    type_name: str
    letters: str
    criteria: frozenset[str] = frozenset()

    def within(self, other: SystemScope) -> SystemScope | None:
        """What both allow; None for nothing."""
        if "*" not in (self.type_name, other.type_name) and self.type_name != other.type_name:
            return None
        letters = "".join(letter for letter in self.letters if letter in other.letters)
        if not letters:
            return None
        type_name = other.type_name if self.type_name == "*" else self.type_name
        return SystemScope(type_name, letters, self.criteria | other.criteria)

    def __str__(self) -> str:
        criteria = "?" + "&".join(sorted(self.criteria)) if self.criteria else ""
        return f"system/{self.type_name}.{self.letters}{criteria}"


def system_scope(text: str) -> SystemScope | None:
    """The scope that a text is; None for what is none of `system/`."""
    found = _SCOPE.fullmatch(text)
    if found is None or not found[2]:
        return None
    criteria = frozenset(found[3].split("&")) if found[3] else frozenset()
    return SystemScope(found[1], _FIRST_VERSION.get(found[2], found[2]), criteria)


def granted(asked: Sequence[str], registered: Iterable[str]) -> list[str]:
    """The scopes of `asked` as far as `registered` allows them: as they were asked for where that
    is all of them, else narrowed. What is not understood is not granted."""
    known = [scope for text in registered if (scope := system_scope(text)) is not None]
    found: list[str] = []
    for text in asked:
        wanted = system_scope(text)
        if wanted is None:
            continue
        parts = [part for one in known if (part := wanted.within(one)) is not None]
        found += [text] if wanted in parts else [str(part) for part in parts]
    return list(dict.fromkeys(found))
