"""What the columns of all tables are made of."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, SmallInteger, Text

metadata = MetaData()

text = Text(collation="C")
instant = DateTime(timezone=True)


def key(name: str, kind: type[BigInteger] | type[Integer] | type[SmallInteger]) -> Column[int]:
    """A column of the primary key, whose value the application gives."""
    return Column(name, kind, primary_key=True, autoincrement=False)
