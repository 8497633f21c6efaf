"""Workers lost over an import, counted apart from those that gave it back."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the count; what is under way begins at none."""
    op.add_column("imports", sa.Column("lost_count", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("imports", "lost_count")
