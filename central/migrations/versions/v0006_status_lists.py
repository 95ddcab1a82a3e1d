"""Every credential may have a place in a status list."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make room for lists; a credential from before gets its place with its first card."""
    op.create_table(
        "status_lists",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("changed_s", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False))
    op.create_table(
        "status_entries",
        sa.Column("credential_id", sa.LargeBinary(16), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False))
    op.create_index(
        "status_entries_place", "status_entries", ["number", "place"], unique=True)


def downgrade() -> None:
    """Forget the lists: nodes go on with those that they hold until these run out."""
    op.drop_index("status_entries_place", "status_entries")
    op.drop_table("status_entries")
    op.drop_table("status_lists")
