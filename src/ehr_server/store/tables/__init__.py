"""The tables, as the migrations leave them: what each holds and why it is shaped so.

`comp` is the compartment key (`ehr_server.hashing`): it leads the primary keys, so that one
person's record lies together, and it is what the tables are distributed by on Citus. Hence no
triggers, no foreign keys, a primary key on every table, and `tx` written by the application.
A test compares this description with the migrated database.
"""

from ehr_server.store.tables import access, record
from ehr_server.store.tables.columns import metadata

__all__ = ["access", "metadata", "record"]
