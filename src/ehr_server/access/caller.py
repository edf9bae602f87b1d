"""Who calls. Every deed has a caller from the first line on; on loopback everything is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ehr_server.access.principal import Principal
from ehr_server.access.trail import Trail


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is stored as the sender of what the caller writes, None for an unnamed one.

    `principal`: what a token said, None for who came without one. `purpose`: what data are asked
    for, a code of http://terminology.hl7.org/CodeSystem/v3-ActReason; `reason`: why, in words,
    where the glass is broken. `trail`: what this request discloses, gathered for the access log.
    """

    name: str | None = None
    principal: Principal | None = None
    purpose: str = ""
    reason: str = ""
    trail: Trail = field(default_factory=Trail, compare=False)

    def anew(self) -> Caller:
        """The caller of another request: with a trail of its own."""
        return replace(self, trail=Trail())

    @property
    def owner(self) -> str | None:
        """Whose the jobs are that this caller begins: a program's, or those of one user of it."""
        principal = self.principal
        if principal is None or principal.subject == principal.client:
            return self.name
        return f"{self.name}#{principal.subject}"

    def as_asker(self) -> dict[str, Any]:
        """What the request of a job keeps of who asked, so that their rights hold while it runs:
        `caller` is the owner, `asker` all but the trail. `asker_of` reads it."""
        if self.principal is None and not self.purpose:
            return {"caller": self.name}
        principal = None if self.principal is None else asdict(self.principal)
        told = {"name": self.name, "purpose": self.purpose, "reason": self.reason}
        return {"caller": self.owner, "asker": {**told, "principal": principal}}

    @property
    def is_everyone(self) -> bool:
        """Whether all is allowed: who came without a name to a server that asks for none."""
        return self.name is None and self.principal is None

    @property
    def may_explain(self) -> bool:
        """Whether they may see how a search runs: SQL and plans tell of records of others. Those
        who administer the server may, and on loopback everyone."""
        return self.is_everyone

    @property
    def may_purge(self) -> bool:
        """Whether they may remove a person's record for good: as `may_explain`."""
        return self.is_everyone

    def may_tell(self, _reason: str) -> bool:
        """Whether they may have exported what is restricted for a reason of
        `sensitivity.is_restricted`, once they ask for it by name: as `may_explain`."""
        return self.is_everyone


LOOPBACK = Caller()


def asker_of(request: Mapping[str, Any]) -> Caller:
    """The caller that `as_asker` wrote into the request of a job, with a trail of its own."""
    told = request.get("asker")
    if told is None:
        return Caller(request["caller"])
    principal = told["principal"]
    if principal is not None:
        lists = {name: tuple(principal[name]) for name in ("scopes", "purposes")}
        principal = Principal(**{**principal, **lists})
    return Caller(told["name"], principal, told["purpose"], told["reason"])
