"""The write path, top to bottom.

    settle -> well formed? -> locks -> resolve -> rewrite links -> gather -> check -> claims
    -> rows -> commit

What can be refused without the database is refused before a connection is held; everything after
happens in one database transaction, so a refusal anywhere leaves nothing behind.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ehr_server import clock
from ehr_server.access.log import written
from ehr_server.changes import (
    binary,
    check,
    claims,
    former,
    gather,
    provenance,
    referring,
    resolve,
    rows,
    search_parameters,
)
from ehr_server.changes.change import Change, Done, Means
from ehr_server.changes.push import Push, receipt, sender_of, stored_before
from ehr_server.changes.settle import settle
from ehr_server.errors import Invalid, Overtaken, Refusal
from ehr_server.identity.naming import name_anew
from ehr_server.metrics import count_stored
from ehr_server.redact import id_without_number
from ehr_server.store import findings, words
from ehr_server.store.connect import Collision, Connection
from ehr_server.store.write import Batch, write


def apply(
    means: Means,
    changes: Sequence[Change],
    then: Callable[[], None] | None = None,
    push: Push | None = None,
    first: Callable[[Connection], None] | None = None,
) -> list[Done]:
    """Make the changes, all or none, and tell what became of each, in the order given.

    `then` runs before the commit and sees what was written: the reads of a transaction. `first`
    runs once the locks are held, so that all that is decided sees what it did: who is one person.
    What was stored before under the key of the `push` is told again, and nothing is stored.

    Raises `Invalid`, `Unprocessable`, `PreconditionFailed`, `NotFound` or `Conflict`, with the
    place of each finding; `Overtaken` when another request was first and all can be run again from
    what was sent; `Unavailable` when the database is away.
    """
    changes, sent = list(changes), len(changes)
    before = _checked(means, changes, push, then)
    if before is not None:
        return before
    binary.set_aside(means, changes)
    for change in changes:
        if change.id is None:
            change.id = clock.new_id()
    try:
        locks = [*resolve.locks(changes), *(push.locks if push is not None else ())]
        defines = search_parameters.defines(changes)
        is_small = len(changes) == 1 and then is None and not defines
        with means.store.transaction(locks, is_small=is_small) as opened:
            connection = opened.connection
            before = _before(means, changes[:sent], push, then)
            if before is not None:
                return before
            if first is not None:
                first(connection)
            resolve.matches(means, connection, changes)
            check.no_match_goes(changes)
            resolve.links(means, connection, changes)
            gather.facts(means, connection, changes)
            check.may_happen(changes)
            former.keep(connection, changes)
            changes += claims.settle(means, connection, changes)
            binary.settle(changes)
            changes = provenance.settle(means, changes, sent)
            sender = means.store.sender_number(_sender(means, changes, push))
            means = search_parameters.by_all_in_use(means, opened)
            stamp = rows.Stamp(opened.tx, clock.now(), sender)
            batch, done = rows.rows(means, changes, stamp)
            if push is not None and push.key and done:
                batch.rows["receipt"].append(receipt(means.store, push, stamp, done[:sent]))
            logged = _log(means, changes, done[:sent], stamp, batch)
            findings.learn(means.store, connection, batch.kinds)
            words.learn(means.store, connection, batch.words)
            binary.take_along(means, connection, batch)
            write(connection, batch)
            if defines:
                search_parameters.take_in(connection, changes)
            if then is not None:
                then()
    except Collision as error:
        raise Overtaken(
            "Another request changed the same resources at the same moment; send it again.",
            vi="Một yêu cầu khác vừa thay đổi cùng tài nguyên; xin gửi lại.",
        ) from error
    means.caller.trail.logged |= logged
    count_stored(rows.deeds(batch))
    if defines:
        search_parameters.take_up(means)
    return referring.told(changes, done, sent)


def _log(
    means: Means, changes: Sequence[Change], done: Sequence[Done], stamp: rows.Stamp, batch: Batch
) -> set[int]:
    """Add to the batch what the access log says of it: whose record was written to, or told where
    it was there already. Returns the compartments."""
    asked = means.caller.trail.event
    if asked is None:
        return set()
    comps = [row[0] for row in batch.rows["version"]]
    comps += [one.place.comp for one in changes if one.matched is not None and one.place]
    what = asked.what
    if len(done) == 1 and "$" not in what:
        what = f"{done[0].type}/{id_without_number(done[0].id)}"
    told = written(means.store, asked, comps, what)
    batch.rows["access_log"] += ((*row[:2], stamp.tx, *row[2:]) for row in told)
    return set(comps)


def _checked(
    means: Means, changes: list[Change], push: Push | None, then: Callable[[], None] | None
) -> list[Done] | None:
    """Add what is deleted along, and refuse what can be refused without a transaction, unless it
    was stored before: rules and resources may have been others then. The look that counts is made
    in the transaction, with the lock of the key; of several changes there is one before, which is
    cheaper than to check them."""
    before = _before(means, changes, push, then) if len(changes) > 1 else None
    if before is None:
        try:
            settle(means, changes)
            widened = referring.widen(means, changes)
            changes += [*provenance.intended(push.told if push else (), changes), *widened]
            check.well_formed(means, changes)
            provenance.untargeted(changes)
            for resource in filter(None, _resources(changes)):
                name_anew(resource, means.identifier_systems)
        except Refusal:
            before = _before(means, changes, push, then)
            if before is None:
                raise
    return before


def _before(
    means: Means, changes: Sequence[Change], push: Push | None, then: Callable[[], None] | None
) -> list[Done] | None:
    """What was stored under the key before. Reads, which stored nothing, are done anew, and
    findings, which no receipt holds, are made again for who asks for them."""
    if push is None or not push.key:
        return None
    before = stored_before(means.store, push)
    if before is None:
        return None
    if push.tells_findings and len(before) == len(changes):
        with suppress(Invalid):
            check.well_formed(means, changes)
        both = zip(before, changes, strict=True)
        before = [replace(done, findings=change.findings) for done, change in both]
    if then is not None:
        then()
    return before


def _sender(means: Means, changes: Sequence[Change], push: Push | None) -> str:
    """As the push says, which its receipt is filed by; else as the resources do."""
    if push is not None and (push.key or push.sender):
        return push.sender
    return sender_of(means.caller, _resources(changes))


def _resources(changes: Sequence[Change]) -> Iterator[dict[str, Any] | None]:
    return (change.resource for change in changes)
