"""Whether resources keep to the profiles that references to them ask for, each decided once.

Resources refer to each other, in long chains and in circles, and so do profiles. A look at one
that needs what is not decided yet is put off until that is, on a list and not on Python's stack.
In a circle each is taken to keep to its profile as long as nothing says otherwise; where one does
not, those that were decided by that are looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[int, str]  # the id() of a resource, the url of a profile
Look: TypeAlias = Callable[[], bool]


@dataclass(slots=True)
class Decisions:
    """What was decided of the resources around one: they live as long as this does."""

    _answers: dict[Key, bool] = field(default_factory=dict)
    _needed: dict[Key, Look] | None = None  # what the look under way has asked for

    def decide(self, key: Key, look: Look) -> bool:
        """Whether the look finds nothing wrong; it may ask to decide others."""
        if self._needed is not None:
            self._needed[key] = look
        elif key not in self._answers:
            self._walk(key, look)
        return self._answers.get(key, True)

    def _walk(self, key: Key, look: Look) -> None:
        looks = {key: look}
        askers: dict[Key, list[Key]] = {}
        started: set[Key] = set()
        to_do = [key]
        while to_do:
            at = to_do[-1]
            if at in self._answers:
                to_do.pop()
                continue
            answer, needed = self._looked(looks[at])
            started.add(at)
            new = [one for one in needed if one not in self._answers and one not in started]
            if new:
                looks |= needed
                to_do += new
                continue
            self._answers[at] = answer
            for one in needed:
                askers.setdefault(one, []).append(at)
            if not answer:  # who took it to be otherwise is looked at again
                again = [one for one in askers.pop(at, ()) if self._answers.get(one)]
                for one in again:
                    del self._answers[one]
                to_do += again

    def _looked(self, look: Look) -> tuple[bool, dict[Key, Look]]:
        needed: dict[Key, Look] = {}
        self._needed = needed
        try:
            return look(), needed
        finally:
            self._needed = None
