"""Tokens of nodes expire and are rotated; a database knows whose keys it was made with."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
LIFE_S = 30 * 86_400
"""Nodes that are enrolled already get a whole life from now on."""


def upgrade() -> None:
    """Date every token and make room for the one before it."""
    op.create_table(
        "facts", sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False))
    op.add_column("nodes", sa.Column(
        "token_expires_s", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("nodes", sa.Column("token_before_hash", sa.LargeBinary(32), nullable=True))
    op.add_column("nodes", sa.Column(
        "token_rotated_ms", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.create_index("ix_nodes_token_before_hash", "nodes", ["token_before_hash"])
    op.execute(sa.text("UPDATE nodes SET token_expires_s = :at").bindparams(
        at=int(time.time()) + LIFE_S))


def downgrade() -> None:
    """Go back to tokens without an end; rotated ones stay valid."""
    op.drop_index("ix_nodes_token_before_hash", "nodes")
    for name in ("token_rotated_ms", "token_before_hash", "token_expires_s"):
        op.drop_column("nodes", name)
    op.drop_table("facts")
