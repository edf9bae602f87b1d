"""How far work in the background is, at which rate, and when it will have ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of so many parts are done since `began` (an instant), with so many resources."""

    began: str
    parts: int
    of: int
    resources: int

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `progress_of` reads it."""
        names = ("began", "parts", "of", "resources")
        return {name: getattr(self, name) for name in names}

    def percent(self) -> int:
        """How much is done, 99 at most: there is something to do after the last part too."""
        return min(99, 100 * self.parts // max(self.of, 1))

    def rate(self, now: datetime) -> int:
        """Resources a second."""
        return round(self.resources / self._seconds(now))

    def left_s(self, now: datetime) -> int | None:
        """Seconds until the end, if it goes on like this; None while nobody can say."""
        if not self.parts:
            return None
        return round(self._seconds(now) / self.parts * (self.of - self.parts))

    def told(self, now: datetime) -> str:
        """In a line of less than 100 characters."""
        text = f"{self.percent()} %, {self.resources:,} resources, {self.rate(now):,}/s"
        left = self.left_s(now)
        return text if left is None else f"{text}, about {left:,} s left"

    def _seconds(self, now: datetime) -> float:
        return max((now - datetime.fromisoformat(self.began)).total_seconds(), 0.001)


def progress_of(value: dict[str, Any]) -> Progress | None:
    """The progress that `as_json` wrote into that of a job; None if the job has none yet."""
    if "of" not in value:
        return None
    return Progress(value["began"], value["parts"], value["of"], value["resources"])
