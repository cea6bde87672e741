"""The judge: from the bytes of a header to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.judge.verdict import Verdict
    from forebay.message.envelope import Envelope


class Watch(Protocol):
    """What wants to know which third-party validator runs, as the watchdog does."""

    def enter(self, validator_id: str) -> None:
        """A validator begins."""

    def leave(self) -> None:
        """It has come back, whatever came of it."""


@dataclass(slots=True)
class Judge:
    """Judges messages by one configuration. Loaded once, then shared by all sessions of a worker."""

    needs_body: bool
    reject_at_rcpt: bool
    collect_bytes: int
    collect_fields: int
    may_tag: bool
    may_quarantine: bool
    watch: Watch

    def judge(self, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, body: bytes = b"") -> Verdict:
        """The verdict on a message: its fields in their order, its envelope, the first bytes of its body."""
        raise NotImplementedError

    def judge_recipient(self, envelope: Envelope, recipient: bytes) -> Verdict:
        """The verdict on one recipient alone (`envelope` is what is known before it)."""
        raise NotImplementedError
