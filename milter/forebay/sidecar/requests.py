"""What people ask for on the command line: releases, deletions, a reset of the fuse.

A request is a row of the journal. A live sidecar carries it out; where none lives, the command does it itself, under
the sidecar's lock.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from forebay.logs import LOGGER, printable
from forebay.sidecar.docket import let_pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.sidecar.aside import Aside
    from forebay.sidecar.journal import Journal, Request

_log = logging.getLogger(LOGGER)
DONE = "done"
RESET = "reset-fuse"


def ask(journal: Journal, kind: str, entry: str, person: str) -> int:
    """Store a request; its number."""
    with journal.change() as db:
        made = db.execute(
            "INSERT INTO request (kind, entry, person, at) VALUES (?, ?, ?, ?)", (kind, entry, person, time.time())
        )
        return int(made.lastrowid or 0)


def carry_out(journal: Journal, aside: Aside, strikes: int, reset: Callable[[], None]) -> None:
    """Carry out everything that was asked for."""
    for request in journal.requests():
        if request.kind == RESET:
            reset()
            outcome = DONE
        else:
            outcome = _about_entry(journal, aside, strikes, request)
        _log.info("%s %s by %s: %s", request.kind, request.entry, printable(request.person), outcome)
        with journal.change() as db:
            db.execute("UPDATE request SET outcome = ? WHERE id = ?", (outcome, request.id))


def _about_entry(journal: Journal, aside: Aside, strikes: int, request: Request) -> str:
    entry = journal.entry(request.entry)
    if entry is None:
        return "no such entry"
    if request.kind == "release":
        if entry.state not in {"aside", "releasing"}:
            return "done" if entry.state == "released" else f"it is {entry.state}"
        intend_release(journal, entry.id, entry.identity, strikes)
        return DONE if aside.release(entry) else "not now: it is tried again"
    if entry.state not in {"aside", "deleting"}:
        return "done" if entry.state == "deleted" else f"it is {entry.state}"
    with journal.change() as db:
        db.execute("UPDATE entry SET state = 'deleting' WHERE id = ?", (entry.id,))
    return DONE if aside.delete(entry) else "not now: it is tried again"


def intend_release(journal: Journal, entry: str, identity: bytes, strikes: int) -> None:
    """Store that a message goes back: one strike away from conviction, and past its own fingerprint once."""
    with journal.change() as db:
        db.execute("UPDATE entry SET state = 'releasing' WHERE id = ?", (entry,))
        db.execute("UPDATE message SET state = 'releasing', strikes = ? WHERE identity = ?", (strikes - 1, identity))
        let_pass(db, identity, entry)
