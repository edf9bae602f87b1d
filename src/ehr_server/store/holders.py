"""Who carries an identifier: the directory `ident` read by hash."""

from collections.abc import Iterable

from ehr_server.hashing import Tokens
from ehr_server.store.connect import Connection
from ehr_server.store.read import Place


def holders(connection: Connection, hashes: Iterable[int]) -> list[Place]:
    """The places of the Patients that are found by one of the hashes, as far as committed."""
    wanted = sorted(set(hashes))
    if not wanted:
        return []
    rows = connection.execute(
        "select distinct comp, key from ident where h = any(%s::bigint[]) order by comp, key",
        (Tokens(wanted),),
    ).fetchall()
    return [Place(comp, key, live=True) for comp, key in rows]
