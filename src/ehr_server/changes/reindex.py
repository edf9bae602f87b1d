"""Building the search index anew, while serving: for rows of an older form, or for all."""

from collections.abc import Sequence
from typing import Any

from ehr_server.changes.change import Means
from ehr_server.changes.links import scan
from ehr_server.changes.rows import Spot, Stamp, add_unsearched, index_rows
from ehr_server.changes.search_parameters import by_all_in_use
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import hash64, own_comp
from ehr_server.search.index import index
from ehr_server.store.walk import At, Stretch, indexed_at, looked_at
from ehr_server.store.words import learn
from ehr_server.store.write import Batch, write

LOOKED_AT = 1_000  # rows to a look
_TOGETHER = 200  # resources to a transaction


def reindex(means: Means, stretch: Stretch, after: At) -> tuple[int, At | None]:
    """Index the next resources of the stretch again, by all that can be searched by: how many they
    were, and where they end, which is nowhere once there are no more.

    The contents and their versions stay as they are. Small transactions, each under the locks that
    a change of the same resources takes, so that serving goes on.
    """
    with means.store.connection() as connection:
        places, until = looked_at(connection, stretch, after, LOOKED_AT)
    for start in range(0, len(places), _TOGETHER):
        _reindex(means, stretch, places[start : start + _TOGETHER])
    return len(places), until


def _reindex(means: Means, stretch: Stretch, places: Sequence[At]) -> None:
    with means.store.connection() as connection:
        rows = indexed_at(connection, stretch, places)
    if not rows:  # all were deleted or moved since
        return
    unpack = means.store.contents.unpack
    names = [identity(unpack(enc, stored)) for *_, enc, stored in rows]
    with means.store.transaction([hash64("id", *name) for name in names]) as opened:
        again = indexed_at(opened.connection, stretch, [row[:2] for row in rows])
        batch = _batch(by_all_in_use(means, opened), again)
        learn(means.store, opened.connection, batch.words)
        write(opened.connection, batch)


def _batch(means: Means, rows: list[tuple[Any, ...]]) -> Batch:
    batch = Batch()
    for comp, key, tx, at, ver, number, enc, stored in rows:
        content = means.store.contents.unpack(enc, stored)
        batch.replaced.append((definitions().type_name[number], comp, key))
        spot = Spot(comp, key, number, ver, own_comp(*identity(content)))
        resource = json.read_stored(content)
        found = index(resource, means.rules)
        references, _ = scan(resource, {})
        add_unsearched(found, resource["resourceType"], references, means.rules.base)
        index_rows(means, batch, Stamp(tx, at, 0), spot, found)
    return batch
