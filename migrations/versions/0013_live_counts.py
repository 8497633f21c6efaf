"""Add what versions are asked and answer, by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "live_counts",
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("bin", sa.String(), nullable=False),
        sa.Column("texts", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind in ('texts','labels','confidence','tokens')", name="kind"),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name="fk_live_counts_model_name_models"),
        sa.PrimaryKeyConstraint("model_name", "version", "hour", "kind", "bin", name="pk_live_counts"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("live_counts")
