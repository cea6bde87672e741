"""What is done with a message, and why: actions and findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Action(IntEnum):
    """What happens to a message, in the order of severity.

    `TEMPFAIL` is never the answer to what a message contains, only to a failure of forebay's own.
    """

    ACCEPT = 0
    TAG = 1
    QUARANTINE = 2
    TEMPFAIL = 3
    REJECT = 4

    @property
    def word(self) -> str:
        """The action as written in configuration, logs and metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a validator reports.

    `field` is the field's name as written, or `MAIL FROM`, `RCPT TO`, `body`, or empty for the header as a whole;
    `field_index` counts the fields as the milter got them, and is -1 where the finding is not in a field.
    `start` and `end` are a place in the field's value, 0-based and half-open; both 0 where there is none.
    `message` is one line without bytes of the mail. `action` is what the policy made of it; a validator leaves None
    for its own default, or asks for another.
    """

    id: str
    field: bytes
    field_index: int
    start: int
    end: int
    message: str
    action: Action | None = None
