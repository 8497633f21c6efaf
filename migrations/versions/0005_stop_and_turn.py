"""Add the wish to end a job's training early, and the order in which jobs take turns."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

QUEUED = sa.text("status = 'queued'")
TURN = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', run_at, printf('%+d seconds', -60 * priority))",
    "postgresql": "run_at - make_interval(secs => 60 * priority)",
}


def upgrade() -> None:
    """Add both columns and the index of the new order."""
    op.add_column("jobs", sa.Column("stop_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("turn_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(f"UPDATE jobs SET turn_at = {TURN[op.get_bind().dialect.name]}")  # noqa: S608 - our own text
    op.drop_index("ix_jobs_claimable", "jobs")
    op.create_index("ix_jobs_claimable", "jobs", ["turn_at", "id"], postgresql_where=QUEUED, sqlite_where=QUEUED)


def downgrade() -> None:
    """Remove them, and put the old order back."""
    op.drop_index("ix_jobs_claimable", "jobs")
    op.create_index(
        "ix_jobs_claimable",
        "jobs",
        [sa.text("priority DESC"), "run_at", "id"],
        postgresql_where=QUEUED,
        sqlite_where=QUEUED,
    )
    op.drop_column("jobs", "turn_at")
    op.drop_column("jobs", "stop_requested_at")
