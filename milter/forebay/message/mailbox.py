"""A mailbox, as address lists are read into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_MAILBOXES: Final = 64
"""Mailboxes of a field that are kept for validators; the measure `addresses` counts them all."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox (RFC 5322 section 3.4): its parts as written, and the place of its addr-spec in the value."""

    phrase: bytes
    local_part: bytes
    domain: bytes
    start: int
    end: int
