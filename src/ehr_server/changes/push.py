"""Pushes that come with a key: stored once, however often they are sent.

An answer that is lost leaves the sender not knowing; so it sends again, under the same key. What
was stored before is told again and nothing is stored. What was refused left nothing behind, no
receipt either, and may come again as it is or corrected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.changes.change import Done
from ehr_server.errors import Conflict
from ehr_server.issue import Issue
from ehr_server.store import receipts
from ehr_server.store.receipts import BATCH, SINGLE, WHOLE, Fact, Receipt

if TYPE_CHECKING:
    from ehr_server.access.caller import Caller
    from ehr_server.changes.provenance import Told
    from ehr_server.changes.rows import Stamp
    from ehr_server.store.connect import Connection, Store

_SENDER_MAX = 400  # characters: an index takes no more than 2,704 bytes


@dataclass(frozen=True, slots=True)
class Push:
    """How a write was sent: by whom, and under which key, "" for none.

    `digest` is of the method, the address and the content; `entry` the number of an entry of a
    batch, WHOLE for all else. `where` the key stands in the content, if it does. `tells_findings`:
    the sender prefers to hear of them. `told`: what came along about where it is from.
    """

    sender: str
    key: str = ""
    digest: bytes = b""
    kind: int = SINGLE
    entry: int = WHOLE
    where: str = ""
    tells_findings: bool = False
    told: tuple[Told, ...] = ()

    def of_entry(self, number: int) -> Push:
        """The push of one entry of a batch."""
        return replace(self, entry=number)

    @property
    def locks(self) -> list[int]:
        """What keeps another with the same key waiting until the commit."""
        return [receipts.lock(self.key)] if self.key else []


def sender_of(caller: Caller, resources: Iterable[Mapping[str, Any] | None]) -> str:
    """The caller's name, else what the first that says so names as its source (meta.source)."""
    if caller.sender:
        return caller.sender
    for resource in resources:
        meta = (resource or {}).get("meta")
        if isinstance(meta, dict) and isinstance(meta.get("source"), str):
            # What follows the # is the request there, not the sender.
            return str(meta["source"]).partition("#")[0][:_SENDER_MAX]
    return ""


def stored_before(store: Store, push: Push | None) -> list[Done] | None:
    """What became of the changes when they came under this key before; None if nothing did.

    Raises `Conflict` where the key is used for something else.
    """
    if push is None or not push.key:
        return None
    with store.connection() as connection:
        for one in _found(store, connection, push):
            facts = one.facts
            if one.entry != push.entry:
                facts = facts[push.entry : push.entry + 1]
            stored = [fact for fact in facts if fact is not None]
            if stored:
                return _told_again(store, connection, stored)
    return None


def refuse_other(store: Store, push: Push | None) -> None:
    """Raises `Conflict` where the key of a batch is used for something else."""
    if push is not None and push.key:
        with store.connection() as connection:
            _found(store, connection, push)


def receipt(store: Store, push: Push, stamp: Stamp, done: Sequence[Done]) -> tuple[Any, ...]:
    """The row that is written with what was done."""
    facts = [Fact(one.status, one.type, one.id, one.ver, one.at) for one in done]
    about = (push.key, push.sender, push.entry, stamp.tx, stamp.at, push.kind, push.digest)
    return receipts.row(store, stamp.sender, Receipt(*about, facts))


def settle(store: Store, push: Push | None, count: int) -> None:
    """A batch of so many entries came to its end: one receipt of what is stored of it."""
    if push is None or not push.key:
        return
    with store.transaction(push.locks) as opened:
        every = receipts.find(store, opened.connection, push.key, push.sender)
        # Another batch may have come under the same key at the same moment: its own are its own.
        found = [one for one in every if one.digest == push.digest]
        # Those of several facts, conditional deletes, stay.
        entries = [one for one in found if one.entry != WHOLE and len(one.facts) == 1]
        wholes = [one for one in found if one.entry == WHOLE]
        if not found or (wholes and not entries):
            return  # nothing was stored, or nothing more
        facts: list[Fact | None] = list(wholes[0].facts) if wholes else [None] * count
        for one in entries:
            facts[one.entry] = one.facts[0]
        about = (push.key, push.sender, WHOLE, opened.tx, clock.now(), BATCH, push.digest)
        row = receipts.row(store, store.sender_number(push.sender), Receipt(*about, facts))
        receipts.settle(opened.connection, row, [one.entry for one in entries])


def _found(store: Store, connection: Connection, push: Push) -> list[Receipt]:
    found = receipts.find_entry(store, connection, (push.key, push.sender, push.entry), push.digest)
    if any(one.digest != push.digest for one in found):
        raise _used(push)
    return found


def _told_again(store: Store, connection: Connection, facts: Sequence[Fact]) -> list[Done]:
    contents = receipts.contents(store, connection, facts)
    return [
        Done(
            fact.status,
            fact.type,
            fact.id,
            fact.ver,
            fact.at,
            None if fact.status == 204 else contents.get((fact.type, fact.id)),
            is_repeated=True,
        )
        for fact in facts
    ]


def _used(push: Push) -> Conflict:
    """The key itself is not told: it may name a person's visit."""
    return Conflict(
        issues=[
            Issue(
                "error",
                "duplicate",
                "Something else was stored under this key before, and stands. Send a correction "
                "under a new key: as a PUT of the resource, or a conditional update.",
                (push.where,) if push.where else (),
                vi="Trước đây đã lưu nội dung khác với khóa này, và nội dung đó vẫn còn. Xin gửi "
                "bản sửa với khóa mới: bằng PUT tài nguyên, hoặc cập nhật có điều kiện.",
            )
        ]
    )
