"""Who calls. Every deed has a caller from the first line on; on loopback everything is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ehr_server.access.trail import Trail

if TYPE_CHECKING:
    from ehr_server.access.principal import Principal
    from ehr_server.access.rights import Rights


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is stored as the sender of what the caller writes, None for an unnamed one.

    `principal`: what a token said, None for who came without one. `purpose`: what data are asked
    for, a code of http://terminology.hl7.org/CodeSystem/v3-ActReason; `reason`: why, in words,
    where the glass is broken. `rights`: what they may do, None: everything. `trail`: what this
    request discloses, gathered for the access log.
    """

    name: str | None = None
    principal: Principal | None = None
    purpose: str = ""
    reason: str = ""
    rights: Rights | None = None
    trail: Trail = field(default_factory=Trail, compare=False)

    def anew(self) -> Caller:
        """The caller of another request: with a trail of its own."""
        return replace(self, trail=Trail())

    def for_export(self) -> Caller:
        """The caller of an export, to which rules of its own apply."""
        return self if self.rights is None else replace(self, rights=self.rights.for_export())

    def sees_all(self, type_name: str) -> bool:
        """Whether nothing of the type is withheld from them."""
        return self.rights is None or self.rights.is_all(type_name)

    @property
    def sender(self) -> str | None:
        """Who is kept with each version that they write: the program, and for whom it works."""
        facility = self.principal.facility if self.principal is not None else None
        return f"{self.name}@{facility}" if facility else self.name

    @property
    def may_explain(self) -> bool:
        """Whether they may see how a search runs: SQL and plans tell of records of others."""
        return self.rights is None

    @property
    def may_purge(self) -> bool:
        """Whether they may remove a person's record for good."""
        return self.rights is None or self.rights.may("purge")

    def may_tell(self, reason: str) -> bool:
        """Whether they may have exported what is restricted for a reason of
        `sensitivity.is_restricted`, once they ask for it by name."""
        return self.rights is None or reason in self.rights.policy.restricted


LOOPBACK = Caller()
