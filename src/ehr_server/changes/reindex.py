"""Building the search index anew, while serving: for rows of an older form, or for all."""

from typing import Any

from ehr_server.changes.change import Means
from ehr_server.changes.rows import Spot, Stamp, index_rows
from ehr_server.changes.search_parameters import by_all_in_use
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.index import index
from ehr_server.store.read import Stretch, indexed_after, indexed_at
from ehr_server.store.words import learn
from ehr_server.store.write import Batch, write

_TOGETHER = 200

At = tuple[int, int]  # compartment and key of a resource: the order in which they are gone through
START: At = (-(2**63), -(2**63))


def reindex(means: Means, stretch: Stretch, after: At) -> tuple[int, At] | None:
    """Index the next resources of the stretch again, by all that can be searched by: how many they
    were, and where they end; None once there are no more.

    The contents and their versions stay as they are. A small transaction, under the locks that a
    change of the same resources takes, so that serving goes on.
    """
    with means.store.connection() as connection:
        rows = indexed_after(connection, stretch, after, _TOGETHER)
    if not rows:
        return None
    unpack = means.store.contents.unpack
    names = [identity(unpack(enc, stored)) for *_, enc, stored in rows]
    with means.store.transaction([hash64("id", *name) for name in names]) as opened:
        again = indexed_at(opened.connection, stretch, [row[:2] for row in rows])
        batch = _batch(by_all_in_use(means, opened), again)
        learn(means.store, opened.connection, batch.words)
        write(opened.connection, batch)
    return len(rows), rows[-1][:2]


def _batch(means: Means, rows: list[tuple[Any, ...]]) -> Batch:
    batch = Batch()
    for comp, key, tx, at, ver, number, enc, stored in rows:
        content = means.store.contents.unpack(enc, stored)
        batch.replaced.append((definitions().type_name[number], comp, key))
        spot = Spot(comp, key, number, ver, own_comp(*identity(content)))
        found = index(json.read_stored(content), means.rules)
        index_rows(batch, Stamp(tx, at, 0), spot, found)
    return batch
