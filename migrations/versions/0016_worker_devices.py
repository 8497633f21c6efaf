"""Let workers say how many devices a job may train on."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a worker that runs already says it with its next sign of life after a restart."""
    op.add_column("workers", sa.Column("devices", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Remove it: nobody is warned any more of a job that wants more than there are."""
    with op.batch_alter_table("workers") as table:
        table.drop_column("devices")
