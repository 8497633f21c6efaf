"""Add what comparisons of versions on real calls have found."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "shadow_counts",
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("answered_version", sa.Integer(), nullable=False),
        sa.Column("shadow_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("one", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.Column("texts", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('compared','agreed','labels','dropped')", name="kind"),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name="fk_shadow_counts_model_name_models"),
        sa.PrimaryKeyConstraint(
            "model_name",
            "alias",
            "answered_version",
            "shadow_version",
            "kind",
            "one",
            "other",
            name="pk_shadow_counts",
        ),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("shadow_counts")
