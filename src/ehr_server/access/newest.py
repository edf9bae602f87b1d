"""The newest resources of one person that a query finds, each with its date: for `$lastn`."""

from collections.abc import Sequence
from datetime import datetime

from ehr_server.access.caller import Caller
from ehr_server.access.directories import ready, run
from ehr_server.access.restrict import restrict
from ehr_server.search.query import Query
from ehr_server.search.rows import UNDATED
from ehr_server.store.connect import Connection, Store, snapshot

Dated = tuple[datetime | None, bytes]  # the main date, if there is one; the content


def newest(
    store: Store, connection: Connection, query: Query, caller: Caller, most: int
) -> Sequence[Dated]:
    """What the query finds, the newest first, so many at most, by one statement on one person's
    narrow rows. The order of the query is that of its type's main date, downwards."""
    query = restrict(query, caller)
    with snapshot(connection):  # between directory and record a resource may move
        planned = ready(connection, query)
        if planned is None:
            return ()
        (stage,) = planned.stages
        rows = run(connection, planned.page(most, stage, None), planned.is_pinned)
    caller.trail.saw(row[0] for row in rows)
    unpack = store.contents.unpack
    return [(None if at == UNDATED else at, unpack(enc, content)) for *_, enc, content, at in rows]
