"""Add policies of aliases, the history of their moves, and the traces that deleted versions leave."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and let each model remember the number of its last version."""
    op.create_table(
        "alias_policies",
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name="fk_alias_policies_model_name_models"),
        sa.PrimaryKeyConstraint("model_name", "alias", name="pk_alias_policies"),
    )
    op.create_table(
        "alias_moves",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("checks", JSON, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('move','rollback','remove')", name="kind"),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name="fk_alias_moves_model_name_models"),
        sa.PrimaryKeyConstraint("id", name="pk_alias_moves"),
    )
    op.create_index("ix_alias_moves_model_name_alias_id", "alias_moves", ["model_name", "alias", "id"])
    op.create_table(
        "discarded_artifacts",
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prefix", name="pk_discarded_artifacts"),
    )
    op.add_column("models", sa.Column("last_version", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE models SET last_version ="
        " (SELECT max(version) FROM model_versions WHERE model_versions.model_name = models.name)"
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_column("models", "last_version")
    op.drop_table("discarded_artifacts")
    op.drop_table("alias_moves")
    op.drop_table("alias_policies")
