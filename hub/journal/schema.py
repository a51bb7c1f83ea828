"""The journal's schema over time: numbered migrations, forwards only."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the journal's tables to `revision`. Repeatable; called before any role starts."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":  # several machines may start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('eport schema', 0))"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
