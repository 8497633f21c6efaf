"""``python -m app migrate``: bring the database to this version's schema."""

from app.cli.console import JsonFlag, output
from app.settings import Settings
from app.store.migrate import upgrade


def migrate(as_json: JsonFlag = False) -> None:
    """Bring the database to the schema of this version; nothing to do is fine."""
    settings = Settings()
    if not settings.database_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(settings.resolved_database_url)
    if as_json:
        output.print_json(data={"current": True})
    else:
        output.print("The database has the schema of this version.")
