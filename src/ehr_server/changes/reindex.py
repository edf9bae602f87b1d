"""Building the search index anew, while serving: for rows of an older form, or for all."""

from collections.abc import Callable
from typing import Any

from ehr_server.changes.change import Means
from ehr_server.changes.rows import Spot, Stamp, index_rows
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.index import index
from ehr_server.store.read import indexed_after, indexed_at
from ehr_server.store.words import learn
from ehr_server.store.write import Batch, write

_TOGETHER = 200


def reindex(means: Means, type_name: str, told: Callable[[int], None]) -> int:
    """Index every resource of the type again; `told` hears how many more are done.

    The contents and their versions stay as they are. Small transactions, each under the locks
    that a change of the same resources takes, so that serving goes on.
    """
    count = 0
    after = (-(2**63), -(2**63))
    while True:
        with means.store.connection() as connection:
            rows = indexed_after(connection, type_name, after, _TOGETHER)
        if not rows:
            return count
        unpack = means.store.contents.unpack
        names = [identity(unpack(enc, stored)) for *_, enc, stored in rows]
        locks = [hash64("id", *name) for name in names]
        with means.store.transaction(locks) as opened:
            again = indexed_at(opened.connection, type_name, [row[:2] for row in rows])
            batch = _batch(means, type_name, again)
            learn(means.store, opened.connection, batch.words)
            write(opened.connection, batch)
        count += len(rows)
        told(len(rows))
        after = rows[-1][:2]


def _batch(means: Means, type_name: str, rows: list[tuple[Any, ...]]) -> Batch:
    batch = Batch()
    number = definitions().type_number[type_name]
    for comp, key, tx, at, ver, enc, stored in rows:
        content = means.store.contents.unpack(enc, stored)
        batch.replaced.append((type_name, comp, key))
        spot = Spot(comp, key, number, ver, own_comp(*identity(content)))
        found = index(json.read_stored(content), means.rules)
        index_rows(batch, Stamp(tx, at, 0), spot, found)
    return batch
