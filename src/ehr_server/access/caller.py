"""Who calls. Every deed has a caller from the first line on; on loopback everything is allowed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is stored as the sender of what the caller writes, None for an unnamed one."""

    name: str | None = None


LOOPBACK = Caller()
