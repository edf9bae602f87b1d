"""Who calls. Every deed has a caller from the first line on; on loopback everything is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ehr_server.access.principal import Principal
from ehr_server.access.trail import Trail

if TYPE_CHECKING:
    from ehr_server.access.rights import Rights


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is stored as the sender of what the caller writes, None for an unnamed one.

    `principal`: what a token said, None for who came without one. `purpose`: what data are asked
    for, a code of http://terminology.hl7.org/CodeSystem/v3-ActReason; `reason`: why, in words,
    where the glass is broken. `rights`: what they may do (`access.entitled`). `trail`: what this
    request discloses, gathered for the access log.
    """

    name: str | None = None
    principal: Principal | None = None
    purpose: str = ""
    reason: str = ""
    rights: Rights | None = None
    trail: Trail = field(default_factory=Trail, compare=False)

    @property
    def narrowing(self) -> Rights | None:
        """The rights that all they ask for is narrowed by; None for who may do everything, as who
        comes to a server that asks for no token. Whoever has a principal has rights as well."""
        if self.rights is None and self.principal is not None:
            raise ValueError("what the caller may do is not settled yet")
        return self.rights

    def anew(self) -> Caller:
        """The caller of another request: with a trail of its own."""
        return replace(self, trail=Trail())

    def for_export(self) -> Caller:
        """The caller of an export, to which rules of its own apply."""
        rights = self.narrowing
        return self if rights is None else replace(self, rights=rights.for_export())

    def sees_all(self, type_name: str) -> bool:
        """Whether nothing of the type is withheld from them."""
        return self.narrowing is None or self.narrowing.is_all(type_name)

    @property
    def sender(self) -> str | None:
        """Who is kept with each version that they write: the program, and for whom it works. What a
        provider calls a program may hold the sign that stands between the two."""
        if self.principal is None or self.name is None:
            return self.name
        name, facility = self.name.replace("@", "%40"), self.principal.facility
        return f"{name}@{facility}" if facility else name

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
        policies = self.rights.policy.folder if self.rights is not None else ""
        told = {"name": self.name, "purpose": self.purpose, "reason": self.reason}
        told["policies"] = policies
        return {"caller": self.owner, "asker": {**told, "principal": principal}}

    @property
    def may_explain(self) -> bool:
        """Whether they may see how a search runs: SQL and plans tell of records of others."""
        return self.narrowing is None

    @property
    def may_purge(self) -> bool:
        """Whether they may remove a person's record for good."""
        return self.narrowing is None or self.narrowing.may("purge")

    def may_tell(self, reason: str) -> bool:
        """Whether they may have exported what is restricted for a reason of
        `sensitivity.is_restricted`, once they ask for it by name."""
        return self.narrowing is None or reason in self.narrowing.policy.restricted


LOOPBACK = Caller()


def asker_of(request: Mapping[str, Any]) -> Caller:
    """The caller that `as_asker` wrote into the request of a job, with a trail of its own."""
    told = request.get("asker")
    if told is None:
        return Caller(request.get("caller"))
    principal = told["principal"]
    if principal is not None:
        lists = {name: tuple(principal[name]) for name in ("scopes", "purposes")}
        principal = Principal(**{**principal, **lists})
    return Caller(told["name"], principal, told["purpose"], told["reason"])
