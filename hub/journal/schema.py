"""The journal's schema over time: numbered migrations, forwards only.

A migration only adds: tables, columns that may be empty, indexes. So roles of the release before that run already go on
after it, and machines are upgraded one after the other. Each upgrade is one transaction on both databases: a process
that is killed in it leaves the old schema whole.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from hub.errors import JournalError


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the journal's tables to `revision`. Repeatable; called before any role starts.

    Raises JournalError where a newer release has been here."""
    config = _config()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":  # several machines may start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('eport schema', 0))"))
        _not_newer(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _not_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    have = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if have and have not in known:
        head = scripts.get_current_head()
        raise JournalError(
            f"the journal is of revision {have}, which a newer release made; this release knows {head}:"
            " start the newer release"
        )


def revisions(engine: Engine) -> tuple[str, str]:
    """(the revision that the tables are of, "" for none; the one that this release needs)."""
    with engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    return have or "", ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config
