"""Who calls. Every deed has a caller from the first line on; on loopback everything is allowed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is stored as the sender of what the caller writes, None for an unnamed one."""

    name: str | None = None

    @property
    def may_explain(self) -> bool:
        """Whether they may see how a search runs: SQL and plans tell of records of others. Those
        who administer the server may, and on loopback everyone."""
        return self is LOOPBACK

    @property
    def may_purge(self) -> bool:
        """Whether they may remove a person's record for good: as `may_explain`."""
        return self is LOOPBACK

    def may_tell(self, _reason: str) -> bool:
        """Whether they may have exported what is restricted for a reason of
        `sensitivity.is_restricted`, once they ask for it by name: as `may_explain`."""
        return self is LOOPBACK


LOOPBACK = Caller()
