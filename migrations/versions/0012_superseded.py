"""An index of the versions that took the place of another, for exports: see `store.export`.

Most resources are never changed, so it is small, and who is not in it costs nothing to write.

Exports from before are over: how their jobs were kept has changed, and their files are removed.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index version_later on version (key, ver) where ver > 1")
    op.execute("update job set state = 'cancelled', lease = null where kind = 'export'")
