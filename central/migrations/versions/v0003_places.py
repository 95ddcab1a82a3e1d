"""Where nodes stand; an earlier version made this table without a migration."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table if it isn't there."""
    if "places" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(
            "places", sa.Column("node_id", sa.String(32), primary_key=True),
            sa.Column("lat", sa.Double, nullable=False),
            sa.Column("lon", sa.Double, nullable=False))


def downgrade() -> None:
    """Leave it: the version before made it itself."""
