"""What the journal holds against messages and fingerprints: written within a transaction of who decides."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from forebay.api.router import Holding, Message
    from forebay.sidecar.examine import Examined
    from forebay.sidecar.verdict import Verdict


def key(exact: bytes | None, shape: bytes | None, identity: bytes) -> bytes:
    """What counts as one for the fuse: messages of one shape, else of one exact fingerprint, else itself."""
    return shape or exact or identity


def new_id(now: float) -> str:
    """An id for an entry: sortable by time, and not to be guessed."""
    return f"{int(now):x}{secrets.token_hex(4)}"


def let_pass(db: sqlite3.Connection, identity: bytes, entry: str) -> None:
    """Store that a person has let this message go, as this entry: its own fingerprints do not stop it any more."""
    db.execute("INSERT OR REPLACE INTO pass VALUES (?, ?, ?)", (identity, entry, time.time()))


def know(db: sqlite3.Connection, message: Message, cause: str, examined: Examined, now: float) -> None:
    """Store a message and its fingerprints, with nothing against them yet."""
    db.execute(
        "INSERT INTO message (identity, path, state, exact, shape, at) VALUES (?, ?, 'struck', ?, ?, ?) "
        "ON CONFLICT (identity) DO UPDATE SET path = excluded.path, at = excluded.at",
        (message.identity, message.path, examined.exact, examined.shape, now),
    )
    for kind, digest in (("exact", examined.exact), ("shape", examined.shape)):
        if digest:
            db.execute(
                "INSERT INTO fingerprint (digest, kind, cause, at) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
                (digest, kind, cause, now),
            )


def add_strike(
    db: sqlite3.Connection, culprit: Holding, verdict: Verdict, examined: Examined, evidence: dict[str, object],
    now: float,
) -> int:  # fmt: skip
    """Store a strike; how many there are now against the message or one of its fingerprints."""
    identity = culprit.message.identity
    know(db, culprit.message, verdict.value, examined, now)
    db.execute("UPDATE message SET strikes = strikes + 1, state = 'struck' WHERE identity = ?", (identity,))
    db.execute(
        "INSERT INTO strike (identity, cause, confidence, at, evidence) VALUES (?, ?, ?, ?, ?)",
        (identity, verdict.value, culprit.confidence.word, now, json.dumps(evidence)),
    )
    counts = [db.execute("SELECT strikes FROM message WHERE identity = ?", (identity,)).fetchone()[0]]
    for digest in examined.digests:
        db.execute("UPDATE fingerprint SET strikes = strikes + 1, at = ? WHERE digest = ?", (now, digest))
        counts.append(db.execute("SELECT strikes FROM fingerprint WHERE digest = ?", (digest,)).fetchone()[0])
    return int(max(counts))
