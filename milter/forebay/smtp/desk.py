"""A worker's desk: what it knows of killers, and what it writes down of the mail that it has held.

The one way from the path of mail to the store: files, in a directory that the keeper looks after.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import records
from forebay.judge import fingerprints, passes
from forebay.judge.verdict import Verdict
from forebay.logs import printable
from forebay.message import fingerprint
from forebay.message.finding import Action, Finding
from forebay.records import Record, RecordedFinding, Records

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.judge.fingerprints import Matcher
    from forebay.message.envelope import Envelope
    from forebay.smtp.session import Session


_PATH: Final = 2000
_HELD: Final = frozenset({Action.QUARANTINE, Action.REJECT})
_RELEASED: Final = "released"


class Desk:
    """Shared by all sessions of a worker."""

    def __init__(self, config: Config, matcher: Matcher) -> None:
        self.matcher = matcher
        acts = config.policy.preset != "observe"
        self.may_quarantine = acts and matcher.action is not Action.TAG
        self.may_tag = acts
        self._host = config.store.host or config.milter.hostname
        self._state = Path(config.milter.state)
        self._records = Records(self._state / records.DIRECTORY)
        self.renew()

    def renew(self) -> None:
        """Take the latest snapshot of the fingerprints."""
        self.matcher.renew(fingerprints.read(self._state))

    def compare(self, session: Session, envelope: Envelope, verdict: Verdict) -> Verdict:
        """The verdict, more severe where the message is like one that killed a router."""
        verdict, session.matched = self.matcher.match(verdict, session.fields, envelope, session.body)
        return verdict if verdict.action not in _HELD else self._released(session, verdict)

    def _released(self, session: Session, verdict: Verdict) -> Verdict:
        """Only tagged, and once, what a person has released from quarantine."""
        exact = fingerprint.exact(session.fields, session.sender)
        entry = passes.take(self._state, passes.SMTP, exact)
        if not entry:
            return verdict
        text = f"held before, and released as entry {entry}"
        finding = Finding(_RELEASED, b"", -1, 0, 0, text, Action.TAG)
        return Verdict(Action.TAG, Action.TAG, (finding, *verdict.findings), verdict.errors)

    def record(self, session: Session, verdict: Verdict) -> Record:
        """What is known of a message now, before its bytes are forgotten."""
        exact, shape = self.matcher.digests(session.fields, session.envelope, session.body)
        now = time.time()
        return Record(
            id=records.new_id(now),
            at=now,
            host=printable(self._host, 250),
            action=verdict.action.word,
            queue_id=printable(session.queue_id, 64),
            client=printable(session.client, 64),
            sender=session.sender[:_PATH],
            recipients=tuple(each[:_PATH] for each in session.recipients[: records.MOST_RECIPIENTS]),
            recipient_count=len(session.recipients),
            size=session.size,
            exact=(exact or b"").hex(),
            shape=(shape or b"").hex(),
            matched=session.matched.hex(),
            findings=tuple(
                RecordedFinding(
                    printable(each.id, 80), each.field[:200], each.field_index, each.start, each.end,
                    printable(each.message, 500), (each.action or Action.ACCEPT).word,
                )
                for each in verdict.findings
            ),
            header=records.bounded(session.fields),
        )  # fmt: skip

    def hold(self, record: Record, queue_id: str, version: str) -> bool:
        """Write down that a message is about to be held, for good; False where the quarantine takes no more.

        `version` is what the MTA says of itself (macro `v`).
        """
        if self.matcher.snapshot.is_full:
            return False
        queue_id = printable(queue_id, 64) or record.queue_id
        self._records.write(replace(record, queue_id=queue_id, mta=records.mta_of(version)))
        return True

    def note(self, record: Record) -> None:
        """Write down a hit that is not held; if the machine dies of something, it is not missed."""
        self._records.write(record, durable=False)
