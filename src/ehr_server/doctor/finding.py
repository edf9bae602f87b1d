"""What a check found: one line for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is so, and unless it is ok the `mend`, what to do about it."""

    level: Literal["ok", "warn", "fail"]
    what: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        return {"level": self.level, "what": self.what, "mend": self.mend}


def ok(what: str) -> Finding:
    return Finding("ok", what)


def warn(what: str, mend: str) -> Finding:
    return Finding("warn", what, mend)


def fail(what: str, mend: str) -> Finding:
    return Finding("fail", what, mend)
