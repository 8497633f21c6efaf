"""Add answers that were logged, and what was said of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("labels", JSON, nullable=True),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("truth", JSON, nullable=True),
        sa.Column("right", sa.Boolean(), nullable=True),
        sa.Column("feedback_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            '(truth is null) = ("right" is null) and (truth is null) = (feedback_at is null)', name="feedback_whole"
        ),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name="fk_predictions_model_name_models"),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_model_name_version_id", "predictions", ["model_name", "version", "id"])
    op.create_index("ix_predictions_expires_at", "predictions", ["expires_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("predictions")
