"""Add what the curves of a job say of its run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the column; jobs that have run were never examined."""
    op.add_column("jobs", sa.Column("diagnoses", Json, nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("jobs", "diagnoses")
