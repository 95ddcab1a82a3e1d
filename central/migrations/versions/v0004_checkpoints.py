"""Checkpoints of nodes' journals: those that were counter-signed, and those that were refused."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "journal_checkpoints", sa.Column("log", sa.String(32), primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(32), primary_key=True),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("countersignature", sa.LargeBinary, nullable=False),
        sa.Column("at_s", sa.BigInteger, nullable=False))


def downgrade() -> None:
    """Drop it: nodes ask again for what is signed, and hold what was."""
    op.drop_table("journal_checkpoints")
