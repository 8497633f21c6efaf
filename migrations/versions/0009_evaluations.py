"""Let a batch prediction judge a version: what by, and what came out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Add both columns; batches so far judge nothing."""
    op.add_column("batch_predictions", sa.Column("judging", JSON, nullable=True))
    op.add_column("batch_predictions", sa.Column("judgement", JSON, nullable=True))


def downgrade() -> None:
    """Remove them, and the evaluations with them: without them they would be answers without a question."""
    op.execute("DELETE FROM batch_predictions WHERE judging IS NOT NULL")
    op.drop_column("batch_predictions", "judgement")
    op.drop_column("batch_predictions", "judging")
