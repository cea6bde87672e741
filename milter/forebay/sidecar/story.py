"""The lines in the log that tell what became of a killer: a strike, a set-aside, a release, a deletion.

    forebay[812]: warning: strike 1: memory: may run once more: /var/spool/postoffice/router/1047
    forebay[812]: warning: set aside: 6b08112c65cb2301: memory (certain): /var/spool/postoffice/router/1047, 189 bytes

As JSON they have the same facts as members of their own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from forebay.logs import LOGGER, printable

if TYPE_CHECKING:
    from forebay.sidecar.journal import Entry


def strike(strikes: int, cause: str, confidence: str, path: str) -> None:
    """A worker died of a message that may run once more."""
    shown = printable(path)
    text = f"strike {strikes}: {cause}: may run once more: {shown}"
    _tell(text, {"event": "strike", "strikes": strikes, "cause": cause, "confidence": confidence, "path": shown})


def set_aside(entry: Entry) -> None:
    """A message was taken out of the router's way."""
    where = printable(entry.original)
    text = f"set aside: {entry.id}: {entry.cause} ({entry.confidence}): {where}, {entry.size} bytes"
    _tell(text, {"event": "set-aside"} | _about(entry))


def released(entry: Entry) -> None:
    """A message was put back, because a person asked for that."""
    _tell(f"released: {entry.id}: {printable(entry.original)}", {"event": "released"} | _about(entry))


def deleted(entry: Entry) -> None:
    """A message was removed for good, because a person asked for that."""
    text = f"deleted: {entry.id}: {printable(entry.original)}, {entry.size} bytes"
    _tell(text, {"event": "deleted"} | _about(entry))


def _about(entry: Entry) -> dict[str, object]:
    return {
        "entry": entry.id, "cause": entry.cause, "confidence": entry.confidence,
        "path": printable(entry.original), "bytes": entry.size,
    }  # fmt: skip


def _tell(text: str, members: dict[str, object]) -> None:
    logging.getLogger(LOGGER).warning("%s", text, extra={"event": {"message": text} | members})
