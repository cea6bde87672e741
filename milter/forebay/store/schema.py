"""The tables. Migrations make them; this says what they hold, for queries.

Text that came from mail is escaped before it gets here (`forebay.logs.printable`), but for `detail.header`. Times are
seconds since 1970. Fingerprints are hexadecimal digits; an empty text stands for none.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table, Text

HEAD: Final = "0002"
"""The version of the store that this program works with: its last migration."""

METADATA: Final = MetaData()

MTA_HOLD, SPOOL = "mta-hold", "spool"
KINDS: Final = (MTA_HOLD, SPOOL)
"""Where a message's bytes are: in the MTA's hold queue, or beside a router's spool."""

ANNOUNCED, HELD, VANISHED, RELEASED, DELETED = "announced", "held", "vanished", "released", "deleted"
STATES: Final = (ANNOUNCED, HELD, VANISHED, RELEASED, DELETED)
WAITING: Final = (ANNOUNCED, HELD)
"""The states of an entry whose message waits, or may."""

ENTRY: Final = Table(
    "entry", METADATA,
    Column("id", String(40), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("host", String(255), nullable=False),
    Column("at", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("size", Integer, nullable=False),
    Column("client", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("recipient_count", Integer, nullable=False),
    Column("place", Text, nullable=False),
    Column("reason", String(255), nullable=False),
    Column("why", Text, nullable=False),
    Column("validators", Text, nullable=False),
    Column("confidence", String(16), nullable=False),
    Column("exact", String(32), nullable=False),
    Column("shape", String(32), nullable=False),
    Column("matched", String(32), nullable=False),
)  # fmt: skip
"""`place`: the queue id, or the file in the spool. `reason`: the validator that decided, or the cause of a death."""

DETAIL: Final = Table(
    "detail", METADATA,
    Column("entry", String(40), primary_key=True),
    Column("header", LargeBinary, nullable=False),
    Column("findings", Text, nullable=False),
    Column("evidence", Text, nullable=False),
)  # fmt: skip
"""What `show` needs: the header as JSON with each byte as one character, the findings and the evidence as JSON."""

NOTE: Final = Table(
    "note", METADATA,
    Column("id", Integer, primary_key=True),
    Column("entry", String(40), nullable=False),
    Column("at", Float, nullable=False),
    Column("person", String(255), nullable=False),
    Column("text", Text, nullable=False),
)  # fmt: skip

FINGERPRINT: Final = Table(
    "fingerprint", METADATA,
    Column("digest", String(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("person", String(255), nullable=False),
    Column("entry", String(40), nullable=False),
    Column("made", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("last_hit", Float, nullable=False),
    Column("note", Text, nullable=False),
)  # fmt: skip

HIT: Final = Table(
    "hit", METADATA,
    Column("digest", String(32), primary_key=True),
    Column("recipient", String(32), primary_key=True),
)  # fmt: skip
"""The distinct recipients (digests of them) of otherwise good mail that an exact fingerprint has matched."""

STRIKE: Final = Table(
    "strike", METADATA,
    Column("host", String(255), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("identity", String(128), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("confidence", String(16), nullable=False),
    Column("at", Float, nullable=False),
    Column("evidence", Text, nullable=False),
)  # fmt: skip

REQUEST: Final = Table(
    "request", METADATA,
    Column("id", Integer, primary_key=True),
    Column("entry", String(40), nullable=False),
    Column("host", String(255), nullable=False),
    Column("verb", String(16), nullable=False),
    Column("person", String(255), nullable=False),
    Column("origin", String(255), nullable=False),
    Column("at", Float, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("done", Float, nullable=False),
)  # fmt: skip
"""`host` is who holds the bytes, `origin` where it was asked for; an empty `outcome` is an open request."""

PASS: Final = Table(
    "pass", METADATA,
    Column("entry", String(40), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("exact", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("expires", Float, nullable=False),
)  # fmt: skip
"""Released from a quarantine: let through once by each door of each host that would hold it again."""

AUDIT: Final = Table(
    "audit", METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("person", String(255), nullable=False),
    Column("origin", String(255), nullable=False),
    Column("verb", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("text", Text, nullable=False),
)  # fmt: skip
"""Who did what, when, from where. Rows are only ever added: the database refuses anything else."""
