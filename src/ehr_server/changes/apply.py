"""The write path, top to bottom.

    settle -> well formed? -> locks -> resolve -> rewrite links -> gather -> check -> rows -> commit

What can be refused without the database is refused before a connection is held; everything after
happens in one database transaction, so a refusal anywhere leaves nothing behind.
"""

from collections.abc import Callable, Sequence

from ehr_server import clock
from ehr_server.changes import check, gather, referring, resolve, rows, search_parameters
from ehr_server.changes.change import Change, Done, Means
from ehr_server.changes.settle import settle
from ehr_server.errors import Overtaken
from ehr_server.store import findings, words
from ehr_server.store.connect import Collision
from ehr_server.store.write import write

_SENDER_MAX = 400  # characters: an index takes no more than 2,704 bytes


def apply(
    means: Means, changes: Sequence[Change], then: Callable[[], None] | None = None
) -> list[Done]:
    """Make the changes, all or none, and tell what became of each, in the order given.

    `then` runs before the commit and sees what was written: the reads of a transaction.

    Raises `Invalid`, `Unprocessable`, `PreconditionFailed`, `NotFound` or `Conflict`, with the
    place of each finding; `Overtaken` when another request was first and all can be run again from
    what was sent; `Unavailable` when the database is away.
    """
    settle(means, changes)
    sent = len(changes)
    changes = [*changes, *referring.widen(means, changes)]
    check.well_formed(means, changes)
    for change in changes:
        if change.id is None:
            change.id = clock.new_id()
    try:
        locks = list(resolve.locks(changes))
        defines = search_parameters.defines(changes)
        is_small = len(changes) == 1 and then is None and not defines
        with means.store.transaction(locks, is_small=is_small) as opened:
            connection = opened.connection
            resolve.matches(means, connection, changes)
            resolve.links(means, connection, changes)
            gather.facts(means, connection, changes)
            check.may_happen(changes)
            sender = means.store.sender_number(_sender(means, changes))
            means = search_parameters.by_all_in_use(means, opened)
            stamp = rows.Stamp(opened.tx, clock.now(), sender)
            batch, done = rows.rows(means, changes, stamp)
            findings.learn(means.store, connection, batch.kinds)
            words.learn(means.store, connection, batch.words)
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
    if defines:
        search_parameters.take_up(means)
    return referring.told(changes, done, sent)


def _sender(means: Means, changes: Sequence[Change]) -> str:
    """The caller's name, else what the resources say of their source (meta.source)."""
    if means.caller.name:
        return means.caller.name
    for change in changes:
        meta = (change.resource or {}).get("meta")
        if isinstance(meta, dict) and isinstance(meta.get("source"), str):
            # What follows the # is the request there, not the sender.
            return str(meta["source"]).partition("#")[0][:_SENDER_MAX]
    return ""
