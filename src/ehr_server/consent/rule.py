"""A rule of a Consent, who asks, and what of a resource is looked at: all as hashes and numbers.

https://hl7.org/fhir/R4/consent.html. The columns of the table `directive` are the fields of `Rule`
(`store.tables`), so that `search.disclosable` and `consent.decide` say the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Literal

from ehr_server.hashing import hash64, own_comp
from ehr_server.sensitivity import reasons

PERMIT, DENY, NEITHER = 0, 1, 2

Default = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision. Empty tuples do not narrow.

    `number`: its place in the Consent, the base rule first; `parent` that of the provision it is
    an exception to, -1 for the base rule; `above` those of all that it lies in. `effect`: `PERMIT`,
    `DENY`, or `NEITHER`, for what is only there to narrow what lies in it. `since`, `until`: when
    it holds, [since, until). `names`: the purposes and restricted reasons that it, or else what it
    lies in, names in so many words. `data_from`, `data_until`: of when the data are it is about,
    None of any time. `hides_patient`: whether the class Patient is named.
    """

    key: int  # of the Consent
    number: int
    parent: int
    above: tuple[int, ...]
    effect: int
    since: datetime
    until: datetime
    actors: tuple[int, ...] = ()
    purposes: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()  # numbers of types
    codes: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()  # hashing.own_comp
    names: tuple[int, ...] = ()
    data_from: datetime | None = None
    data_until: datetime | None = None
    hides_patient: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and what for.

    `actors`: what the caller is, by `actor`: the facility, the user, the program. `purposes`: what
    for, by `purpose`. `at`: now. `may_tell`: reasons of `sensitivity` for which a policy opens what
    is restricted. `default`: what is seen where no rule is met, all (`open`) or nothing (`closed`:
    purposes that need an opt-in). `is_broken`: the glass is; neither a denial nor a restriction
    hides anything. `named`: what the references of a resource hold that names the caller's own
    facility, as who made or keeps it: to that one it is not restricted.
    """

    actors: tuple[int, ...]
    purposes: tuple[int, ...]
    at: datetime
    may_tell: frozenset[str] = frozenset()
    default: Default = "open"
    is_broken: bool = False
    named: tuple[int, ...] = ()

    @property
    def closed(self) -> tuple[int, ...]:
        """The marks of what is restricted for a reason that is not open to the caller."""
        return _closed(self.may_tell)


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a resource counts: `comps` are the compartments of all persons it is about, `toks`
    and the main date [d1, d1e) those of its row in the index."""

    type: int
    own: int
    comps: tuple[int, ...]
    toks: frozenset[int]
    refs: frozenset[int]
    d1: datetime | None
    d1e: datetime | None

    @property
    def is_shared(self) -> bool:
        """Whether it is about several records."""
        return len(self.comps) > 1


def actor(type_name: str, id_: str) -> int:
    """What stands for `Organization/1`, and its like, among the actors."""
    return own_comp(type_name, id_)


@lru_cache(maxsize=64)
def purpose(code: str) -> int:
    """What stands for a code of http://terminology.hl7.org/CodeSystem/v3-ActReason."""
    return hash64("purpose", code)


@cache
def restricted_mark(reason: str) -> int:
    """The token of a row that is restricted for the reason (`sensitivity`)."""
    return hash64("_restricted", reason)


def restricted_marks(of: Iterable[str]) -> list[int]:
    """The tokens of a resource that is restricted for the reasons. That it is restricted (R) says
    no more where another reason says why."""
    found = set(of)
    if len(found) > 1:
        found.discard("R")
    return [restricted_mark(reason) for reason in sorted(found)]


@lru_cache(maxsize=256)
def _closed(may_tell: frozenset[str]) -> tuple[int, ...]:
    return tuple(restricted_mark(reason) for reason in sorted(reasons() - may_tell))
