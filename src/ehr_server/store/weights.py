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


def sample(connection: Connection, most: int) -> tuple[int, list[tuple[int, int]]]:
    """How many Patients there are, and where about so many of them lie (comp, key), taken by
    chance and always the same."""
    row = connection.execute("select count(*) from resource_patient").fetchone()
    count = 0 if row is None else int(row[0])
    percent = 100 if count <= most else 100 * most / count
    rows = connection.execute(
        "select comp, key from resource_patient tablesample bernoulli (%s) repeatable (1) limit %s",
        (percent, most),
    )
    return count, [(comp, key) for comp, key in rows]
