"""Seals over the events, alarms that were told, payloads whose time of keeping is over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


POSTGRESQL = """
CREATE FUNCTION kept_for_ever() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION USING MESSAGE = 'rows of ' || TG_TABLE_NAME || ' are never changed'; END$$
"""


def keep_for_ever(*tables: str) -> None:
    """Rows of these tables are added, never changed or deleted: the database itself refuses. A later migration that
    copies one of them (batch_alter_table on SQLite) has to make its triggers again."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(POSTGRESQL)
    for table in tables:
        if postgresql:
            before = "BEFORE UPDATE OR DELETE OR TRUNCATE"
            op.execute(f"CREATE TRIGGER {table}_kept {before} ON {table} EXECUTE FUNCTION kept_for_ever()")
            continue
        for what in ("UPDATE", "DELETE"):
            refuse = f"SELECT RAISE(ABORT, 'rows of {table} are never changed')"
            op.execute(f"CREATE TRIGGER {table}_kept_{what.lower()} BEFORE {what} ON {table} BEGIN {refuse}; END")


def upgrade() -> None:
    op.create_table(
        "seal",
        sa.Column("number", COUNT, autoincrement=False, nullable=False),
        sa.Column("first", COUNT, nullable=False),
        sa.Column("last", COUNT, nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("seal_last", "seal", ["last"])
    op.create_table(
        "stamp",
        sa.Column("number", COUNT, autoincrement=False, nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    keep_for_ever("event", "seal", "stamp")
    op.create_table(
        "alarm",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "rule", "since"),
    )
    op.create_index("alarm_work", "alarm", ["state", "rule", "next_at"])
    op.add_column("payload", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payload", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("interchange", sa.Column("look_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE payload SET used_at = CURRENT_TIMESTAMP")  # as if everything had come today
    op.execute("UPDATE interchange SET look_at = received_at")
    op.create_index("payload_used", "payload", ["used_at"])
    op.create_index("interchange_look", "interchange", ["look_at"])
    kept = sa.text("look_at > received_at")
    op.create_index("interchange_kept", "interchange", ["id"], sqlite_where=kept, postgresql_where=kept)
