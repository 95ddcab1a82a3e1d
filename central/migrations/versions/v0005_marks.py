"""Marks of transactions, by which one is known again whose commit wasn't answered."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "marks", sa.Column("id", sa.LargeBinary(16), primary_key=True),
        sa.Column("at_s", sa.BigInteger, nullable=False))
    op.create_index("ix_marks_at_s", "marks", ["at_s"])


def downgrade() -> None:
    """Drop it: marks are of use for seconds."""
    op.drop_index("ix_marks_at_s", "marks")
    op.drop_table("marks")
