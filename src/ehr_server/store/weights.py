"""The table of weights by which records of one person are told: see `identity.weights`."""

from collections.abc import Iterable

from ehr_server.store.connect import Connection

Row = tuple[str, str, float, float]  # field, level, m, u


def stored(connection: Connection) -> tuple[Row, ...]:
    """What a site has learnt; none where the defaults are in force."""
    statement = "select field, level, m, u from weight order by field, level"
    return tuple((row[0], row[1], row[2], row[3]) for row in connection.execute(statement))


def store(connection: Connection, rows: Iterable[Row]) -> None:
    """These in place of what was there."""
    with connection.transaction():
        connection.execute("delete from weight")
        for row in rows:
            connection.execute(
                "insert into weight (field, level, m, u) values (%s, %s, %s, %s)", row
            )
