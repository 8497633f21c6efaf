"""Add what the network of a job is made of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the column; networks of jobs that have run were not looked at."""
    op.add_column("jobs", sa.Column("inspection", Json, nullable=True))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("jobs", "inspection")
