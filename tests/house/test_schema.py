"""What Citus asks of the schema from the first migration on, checked on the migrated database."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.pool import StaticPool

from ehr_server.store.tables import metadata

pytestmark = pytest.mark.smoke

_MIGRATIONS = "migration"
# Directories, reference tables and the server's own: they are not distributed by `comp`.
_WITHOUT_COMP = {
    *(
        "mark",
        "zdict",
        "setting",
        "sender",
        "job",
        "job_part",
        "job_content",
        "package",
        "artifact",
    ),
    *("finding_kind", "search_parameter", "display", "unit", "receipt", "weight", "alias"),
    *("access_word", "access_seal"),
}
_DIRECTORIES = {"rid", "ident"}  # they have a `comp`, but are distributed by their own key


def _rows(database: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def test_every_table_has_a_primary_key(database: str) -> None:
    without = """
        select relname from pg_class
        where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
          and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)
    """
    assert [name for (name,) in _rows(database, without) if name != _MIGRATIONS] == []


def test_every_table_of_records_has_a_comp_that_is_never_null(database: str) -> None:
    columns = """
        select c.relname, coalesce(bool_or(a.attname = 'comp' and a.attnotnull), false)
        from pg_class c left join pg_attribute a on a.attrelid = c.oid
        where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
        group by 1
    """
    exempt = {*_WITHOUT_COMP, _MIGRATIONS}
    assert {str(name) for name, has_comp in _rows(database, columns) if not has_comp} <= exempt


def test_the_key_that_distributes_is_in_every_unique_index(database: str) -> None:
    unique = """
        select c.relname, i.indexrelid::regclass::text, 'comp' = any(
            select attname from pg_attribute
            where attrelid = i.indrelid and attnum = any(i.indkey::int2[]))
        from pg_index i join pg_class c on c.oid = i.indrelid
        where i.indisunique and c.relkind in ('r', 'p')
          and c.relnamespace = 'public'::regnamespace
    """
    exempt = {*_WITHOUT_COMP, *_DIRECTORIES, _MIGRATIONS}
    assert [
        index
        for table, index, has_comp in _rows(database, unique)
        if not has_comp and table not in exempt
    ] == []


def test_there_are_no_triggers_and_no_foreign_keys(database: str) -> None:
    assert _rows(database, "select tgname from pg_trigger where not tgisinternal") == []
    assert _rows(database, "select conname from pg_constraint where contype = 'f'") == []


def test_the_application_writes_tx(database: str) -> None:
    defaults = """
        select table_name from information_schema.columns
        where column_name = 'tx' and (is_nullable = 'YES' or column_default is not null)
          and table_schema = 'public' and data_type = 'bigint'
    """
    assert _rows(database, defaults) == []


def test_only_core_features_are_used(database: str) -> None:
    assert _rows(database, "select extname from pg_extension where extname <> 'plpgsql'") == []


def test_texts_that_are_keys_compare_by_bytes(database: str) -> None:
    others = """
        select distinct a.attrelid::regclass::text, a.attname
        from pg_index i join pg_attribute a on a.attrelid = i.indrelid
          and a.attnum = any(i.indkey::int2[])
        join pg_class c on c.oid = i.indrelid join pg_collation l on l.oid = a.attcollation
        where c.relnamespace = 'public'::regnamespace and l.collname <> 'C'
    """
    assert [row for row in _rows(database, others) if row[0] != _MIGRATIONS] == []


def test_the_tables_in_the_code_are_those_of_the_database(database: str) -> None:
    with psycopg.connect(database) as connection:
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool
        )
        found = inspect(engine)
        for table in metadata.sorted_tables:
            assert _described(engine, found.get_columns(table.name)) == _described(
                engine, [{"name": c.name, "type": c.type, "nullable": c.nullable} for c in table.c]
            ), table.name
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            assert set(key) == {column.name for column in table.primary_key}, table.name
            indexes = {i["name"]: i["column_names"] for i in found.get_indexes(table.name)}
            for index in table.indexes:
                assert indexes.get(index.name) == [c.name for c in index.columns], index.name
        engine.dispose()


def _described(engine: Engine, columns: list[dict[str, Any]]) -> dict[str, tuple[str, bool]]:
    return {
        column["name"]: (column["type"].compile(engine.dialect), column["nullable"])
        for column in columns
    }
