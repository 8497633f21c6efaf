"""Add how the calls of aliases are split, and let their history tell of it."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BEFORE = "kind in ('move','rollback','remove')"
AFTER = "kind in ('move','rollback','remove','traffic')"


def upgrade() -> None:
    """Add the table, the column and the new kind of line."""
    op.create_table(
        "alias_traffic",
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("traffic", JSON, nullable=False),
        sa.Column("canary_version", sa.Integer(), nullable=True),
        sa.Column("shadow_version", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_name", "alias"],
            ["model_aliases.model_name", "model_aliases.alias"],
            name="fk_alias_traffic_model_name_alias_model_aliases",
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "canary_version"],
            ["model_versions.model_name", "model_versions.version"],
            name="fk_alias_traffic_model_name_canary_version_model_versions",
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "shadow_version"],
            ["model_versions.model_name", "model_versions.version"],
            name="fk_alias_traffic_model_name_shadow_version_model_versions",
        ),
        sa.PrimaryKeyConstraint("model_name", "alias", name="pk_alias_traffic"),
    )
    _allow_kinds(AFTER, lambda: op.add_column("alias_moves", sa.Column("traffic", JSON, nullable=True)))


def downgrade() -> None:
    """Remove them."""
    op.execute("DELETE FROM alias_moves WHERE kind = 'traffic'")
    _allow_kinds(BEFORE, lambda: op.drop_column("alias_moves", "traffic"))
    op.drop_table("alias_traffic")


def _allow_kinds(rule: str, change: Callable[[], None]) -> None:
    """Replace the rule of the kinds; SQLite changes no constraint, so there the table is written anew."""
    change()
    with op.batch_alter_table("alias_moves") as table:
        table.drop_constraint("kind", type_="check")
        table.create_check_constraint("kind", rule)
