"""Headers that burnt the CPU in a third-party validator, remembered on this host.

The worker that judged one was ended, and the MTA comes again with the message: this time it is judged without that
validator, whose `on_error` applies. The supervisor writes the file; workers read it, and hear of what is added later.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from forebay import files

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "remembered.json"
MOST: Final = 1000
"""Older ones are forgotten."""

Pair = tuple[str, str]
"""The digest of a header in hexadecimal digits, and the id of the validator that it is not shown to."""


def load(state: Path) -> list[Pair]:
    """What was remembered, the oldest first; nothing where the file is missing or damaged."""
    try:
        found = json.loads((state / NAME).read_bytes())
        return [(str(digest), str(validator)) for digest, validator in found][-MOST:]
    except (OSError, ValueError, TypeError):
        return []


def add(state: Path, pair: Pair) -> None:
    """Remember one more. Raises OSError where the file cannot be written."""
    known = [each for each in load(state) if each != pair]
    # The state directory is closed to others; the workers are not the supervisor's user.
    files.replace(state / NAME, json.dumps([*known, pair][-MOST:]).encode("ascii") + b"\n", 0o644)
