"""An intended write, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from ehr_server.access.caller import Caller
from ehr_server.fhir.patch import Patch
from ehr_server.identity.naming import Systems
from ehr_server.issue import Issue
from ehr_server.packages.searchable import Searchable
from ehr_server.redact import id_without_number
from ehr_server.search.rules import Rules, full_text
from ehr_server.settings import Settings
from ehr_server.store.blobs import Blob
from ehr_server.store.connect import Store
from ehr_server.store.read import Place, Version
from ehr_server.validation.rulebook import Rulebook

Deed = Literal["create", "update", "patch", "delete"]


@dataclass(frozen=True, slots=True)
class Means:
    """What the write path works with.

    `base_url` is the server's own address as this caller used it, without a slash at the end.
    `check_references` refuses references to nothing; `rulebook` is what resources are held to,
    `rules` say how they are indexed and searched: with the address that the server is configured
    with, or "", which is the same for all callers. `searchable` tells what can be searched by when
    that has changed since the rules were made.
    """

    store: Store
    caller: Caller
    base_url: str
    check_references: bool
    rulebook: Rulebook
    rules: Rules
    searchable: Searchable = field(default_factory=Searchable)
    inline_bytes_max: int = 65_536  # of a Binary's content; what is larger lies beside it
    cascade_max: int = 10_000  # resources that are deleted along
    identifier_systems: Systems = "as-sent"  # in which identifiers are written


@dataclass(frozen=True, slots=True)
class InForce:
    """What a process works by at present: what resources are held to, what can be searched by."""

    rulebook: Rulebook
    searchable: Searchable = field(default_factory=Searchable)


def means(
    store: Store, settings: Settings, in_force: InForce, caller: Caller, base_url: str
) -> Means:
    """What the settings say of it; `base_url` is the address that this caller used."""
    return Means(
        store,
        caller,
        base_url,
        settings.references == "check",
        in_force.rulebook,
        Rules(
            settings.zone,
            settings.public_url,
            settings.count_default,
            settings.count_max,
            parameters=in_force.searchable.current(),
            terminology=in_force.rulebook.terminology,
            full_text=full_text(settings.full_text),
        ),
        in_force.searchable,
        inline_bytes_max=settings.binary_inline_bytes_max,
        cascade_max=settings.cascade_max,
        identifier_systems=settings.identifier_systems,
    )


@dataclass(slots=True)
class Change:
    """One intended write: as asked for, then as the steps of the write path learn more of it.

    `where` is the place of the resource in what was sent: `Patient`, or
    `Bundle.entry[3].resource`. `criteria` say which resource an update, a patch or a delete is
    about, where no id does; they are settled before the transaction, and looked at once more in
    it. So is a `patch`, of which an update of the version that was read is made.
    """

    deed: Deed
    type: str
    id: str | None = None
    resource: dict[str, Any] | None = None
    where: str = ""
    full_url: str | None = None
    if_match: int | None = None
    if_none_match: bool = False  # If-None-Match: *, only if it is not there yet
    if_none_exist: str | None = None
    criteria: str | None = None
    cascades: bool = False  # a delete, of what refers to it too
    cause: "Change | None" = None  # the delete that it goes along with
    patch: Patch | None = None
    blob: Blob | None = None  # content of a Binary, to be kept beside it
    is_reviewed: bool = False  # a second holder of a number is stored, and a human decides
    tells: bool = False  # a Provenance of the changes that it comes along with
    home: int | None = None  # the person's compartment that it lies in, though no patient says so

    meant: Sequence[str] = ()  # the ids that the criteria found
    read: int | None = None  # the version that was patched
    place: Place | None = None
    now: Version | None = None  # the newest version there is
    matched: Version | None = None  # what a conditional create found instead
    references: Sequence[dict[str, Any]] = ()
    findings: Sequence[Issue] = ()  # what was found but does not stand in the way

    @property
    def identity(self) -> tuple[str, str]:
        """`(type, id)`; the id is known once conditionals are resolved."""
        if self.id is None:
            raise ValueError("the id is not known yet")
        return self.type, self.id

    @property
    def told(self) -> str:
        """Type and id, as a text shows them."""
        return f"{self.type}/{id_without_number(self.id or '')}"

    def located(self, issue: Issue) -> Issue:
        """A finding about the resource, as one about what was sent."""
        if self.where.endswith(".resource"):
            return issue.under(self.where.removesuffix(".resource"))
        if self.where not in ("", self.type) and issue.expression:  # what came in a header
            below = (one[one.find(".") :] if "." in one else "" for one in issue.expression)
            return replace(issue, expression=tuple(self.where + one for one in below))
        return issue


@dataclass(slots=True)  # not frozen: there is one for each resource, made in a fifth of the time
class Done:
    """What became of a change, not to be altered. `status` 200, 201 or 204; no `content` after a
    delete, and `ver` 0 where there was nothing to delete. `findings` did not stand in its way. What
    was stored before, under the same key, `is_repeated`.
    """

    status: int
    type: str
    id: str
    ver: int
    at: datetime
    content: bytes | None
    findings: Sequence[Issue] = ()
    is_repeated: bool = False
