"""Add imports of datasets, and where the rows of an imported one came from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("datasets", sa.Column("provenance", Json, nullable=True))
    op.create_table(
        "imports",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_reason", sa.String(), nullable=False),
        sa.Column("request", Json, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", Time, nullable=True),
        sa.Column("dataset_id", sa.String(), nullable=True),
        sa.Column("error", Json, nullable=True),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time, nullable=True),
        sa.Column("finished_at", Time, nullable=True),
        sa.CheckConstraint("status in ('queued','running','succeeded','failed')", name="status"),
        sa.CheckConstraint("(status = 'running') = (lease_until is not null)", name="lease_while_running"),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_imports_dataset_id_datasets", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_index("ix_imports_status_created_at", "imports", ["status", "created_at"])


def downgrade() -> None:
    """Remove both."""
    op.drop_table("imports")
    op.drop_column("datasets", "provenance")
