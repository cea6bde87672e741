"""The first version of the store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_FOLLOWED = ("fingerprint", "request")


def upgrade() -> None:
    """Make every table, the indices, and what keeps the audit trail append-only."""
    _entries()
    _fingerprints()
    _requests()
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def _entries() -> None:
    op.create_table(
        "entry",
        sa.Column("id", sa.String(40), primary_key=True),
        *(
            sa.Column(name, sa.String(length), nullable=False)
            for name, length in (("kind", 16), ("state", 16), ("host", 255))
        ),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("at", "changed")),
        sa.Column("size", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("client", "sender", "recipients")),
        sa.Column("recipient_count", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("why", "validators")),
        sa.Column("confidence", sa.String(16), nullable=False),
        *(sa.Column(name, sa.String(32), nullable=False) for name in ("exact", "shape", "matched")),
    )
    op.create_index("entry_at", "entry", ["at", "id"])
    op.create_index("entry_host", "entry", ["host", "state"])
    op.create_table(
        "detail",
        sa.Column("entry", sa.String(40), primary_key=True),
        sa.Column("header", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("findings", "evidence")),
    )
    op.create_table(
        "note",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("entry", sa.String(40), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("note_entry", "note", ["entry"])


def _fingerprints() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("digest", sa.String(32), primary_key=True),
        *(
            sa.Column(name, sa.String(length), nullable=False)
            for name, length in (
                ("kind", 8),
                ("state", 16),
                ("cause", 64),
                ("host", 255),
                ("person", 255),
                ("entry", 40),
            )
        ),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("made", "expires")),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("last_hit", sa.Float, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "hit",
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("recipient", sa.String(32), primary_key=True),
    )
    op.create_table(
        "strike",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        *(
            sa.Column(name, sa.String(length), nullable=False)
            for name, length in (("identity", 128), ("cause", 64), ("confidence", 16))
        ),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )


def _requests() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.Integer, primary_key=True),
        *(
            sa.Column(name, sa.String(length), nullable=False)
            for name, length in (("entry", 40), ("host", 255), ("verb", 16), ("person", 255), ("origin", 255))
        ),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("done", sa.Float, nullable=False),
    )
    op.create_index("request_open", "request", ["host", "outcome"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        *(
            sa.Column(name, sa.String(length), nullable=False)
            for name, length in (("person", 255), ("origin", 255), ("verb", 32), ("subject", 64))
        ),
        sa.Column("text", sa.Text, nullable=False),
    )


def _guard_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END"
        )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION forebay_audit() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is only added to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION forebay_audit()"
    )
    op.execute(
        "CREATE FUNCTION forebay_tell() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('forebay', TG_TABLE_NAME); RETURN NULL; END $$"
    )
    for table in _FOLLOWED:
        op.execute(
            f"CREATE TRIGGER {table}_tell AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION forebay_tell()"
        )
