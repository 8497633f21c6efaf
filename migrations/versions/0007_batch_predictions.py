"""Add batch predictions: what was asked, the chunks that are done, and what happened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "batch_predictions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_reason", sa.String(), nullable=False),
        sa.Column("request", Json, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", Time, nullable=True),
        sa.Column("error", Json, nullable=True),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time, nullable=True),
        sa.Column("finished_at", Time, nullable=True),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=True),
        sa.Column("input_key", sa.String(), nullable=False),
        sa.Column("input_sha256", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("rows_per_second", sa.Double(), nullable=True),
        sa.Column("lost_count", sa.Integer(), nullable=False),
        sa.Column("cancel_requested_at", Time, nullable=True),
        sa.Column("columns", Json, nullable=False),
        sa.CheckConstraint("status in ('queued','running','succeeded','failed','cancelled')", name="status"),
        sa.CheckConstraint("(status = 'running') = (lease_until is not null)", name="lease_while_running"),
        sa.CheckConstraint("rows_done between 0 and rows", name="rows_done"),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_batch_predictions_dataset_id_datasets", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batch_predictions"),
    )
    op.create_index("ix_batch_predictions_status_created_at", "batch_predictions", ["status", "created_at"])
    op.create_index("ix_batch_predictions_model_name", "batch_predictions", ["model_name"])
    op.create_table(
        "batch_chunks",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("artifact_key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batch_predictions.id"],
            name="fk_batch_chunks_batch_id_batch_predictions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_batch_chunks"),
    )
    op.create_table(
        "batch_events",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batch_predictions.id"],
            name="fk_batch_events_batch_id_batch_predictions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "seq", name="pk_batch_events"),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("batch_events")
    op.drop_table("batch_chunks")
    op.drop_table("batch_predictions")
