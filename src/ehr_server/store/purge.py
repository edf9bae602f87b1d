"""Removing a person's record for good: every row of the compartment, in every table.

A test compares the tables named here with `store.tables`. The id stays in `rid`, leading nowhere:
it is never given anew, and who reads it learns that it is gone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ehr_server.definitions import definitions
from ehr_server.layout import LEAVES
from ehr_server.store import merged
from ehr_server.store.connect import EVERYTHING, Connection, Store

# Keyed by compartment. `rid` and `member` are seen to apart.
TABLES = (
    "resource", "version", "ident", "string", "date", "quantity", "full_text", "finding",
    "blob", "upload", "merged", "directive",
)  # fmt: skip
_NOWHERE = 0  # no compartment and no key: a resource's are hashes and numbers from 1 on


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that is to go."""

    key: int
    ver: int
    type: str
    content: bytes


def lock(connection: Connection) -> None:
    """No update, delete or other purge runs meanwhile; the lock that `store.connect` takes for
    very many resources at once."""
    connection.execute("select pg_advisory_xact_lock(%s)", (EVERYTHING,))


def versions(store: Store, connection: Connection, comp: int) -> Iterator[Kept]:
    """All versions that lie in a compartment, the deleted resources' too."""
    names = definitions().type_name
    for leaf_name in LEAVES:
        rows = connection.execute(
            f"select key, ver, type, enc, content from version_{leaf_name} where comp = %s"
            " order by key, ver",
            (comp,),
        ).fetchall()
        for key, ver, number, enc, stored in rows:
            yield Kept(key, ver, names[number], store.contents.unpack(enc, stored))


def remove(connection: Connection, comp: int, keys: Mapping[int, tuple[str, str]]) -> None:
    """Remove the compartment; `keys` of its resources, with their (type, id). Part of the
    transaction that is open on the connection."""
    person = [one.comp for one in merged.records(connection, [comp])]
    for table in TABLES:
        connection.execute(f"delete from {table} where comp = %s", (comp,))
    merged.forget_single(connection, person)
    connection.execute("delete from member where comp = %s", (comp,))
    for table in ("member", "directive"):
        connection.execute(f"delete from {table} where key = any(%s)", (list(keys),))
    _forget(connection, keys.values())


def _forget(connection: Connection, identities: Iterable[tuple[str, str]]) -> None:
    numbers = definitions().type_number
    pairs = [(numbers[type_name], id_) for type_name, id_ in identities]
    connection.execute(
        "update rid set comp = %s, key = %s, live = false"
        " from unnest(%s::smallint[], %s::text[]) gone (type, id)"
        " where rid.type = gone.type and rid.id = gone.id",
        (_NOWHERE, _NOWHERE, [number for number, _ in pairs], [id_ for _, id_ in pairs]),
    )
    connection.execute(
        "delete from alias using unnest(%s::smallint[], %s::text[]) gone (type, id)"
        " where alias.type = gone.type and alias.id = gone.id",
        ([number for number, _ in pairs], [id_ for _, id_ in pairs]),
    )
