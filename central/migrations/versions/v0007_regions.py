"""A holder may belong to a region."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make room for it; holders from before belong to none until it is set."""
    op.add_column("holders", sa.Column(
        "region", sa.String(16), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget regions; what nodes hold by them stays there until they are told otherwise."""
    op.drop_column("holders", "region")
