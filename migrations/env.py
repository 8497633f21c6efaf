"""What Alembic runs: migrations on the connection it is given, or on the configured database when run by hand."""

from alembic import context
from sqlalchemy import Connection

from app.settings import get_settings
from app.store.engine import driver_url, make_engine
from app.store.tables import Base


def migrate(connection: Connection) -> None:
    """Run the migrations in one transaction, on SQLite too: a cut leaves the schema as it was."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with make_engine(driver_url(get_settings().resolved_database_url)).begin() as opened:
        migrate(opened)
