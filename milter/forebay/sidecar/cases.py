"""Cases against messages: strikes, the one retry, conviction, copies, suspects.

A message is struck when a worker's end is laid to it, and may then run once more; the strike counts against its
identity and against its fingerprints, and whichever comes to `strikes` first convicts. Everything is in the journal
before the message can run again.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.api.router import Message
from forebay.errors import JournalError
from forebay.logs import LOGGER, printable
from forebay.sidecar import docket, story
from forebay.sidecar.docket import add_strike, know
from forebay.sidecar.fusebox import FuseBox
from forebay.sidecar.released import Released
from forebay.sidecar.verdict import LOSSES, Verdict

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from forebay.api.router import Adapter, Holding
    from forebay.sidecar.aside import Aside
    from forebay.sidecar.examine import Examined, Examiner
    from forebay.sidecar.fuse import Fuse
    from forebay.sidecar.journal import Journal, Record, Withheld
    from forebay.sidecar.metering import Meter
    from forebay.sidecar.published import Published
    from forebay.sidecar.withhold import Withholding

_log = logging.getLogger(LOGGER)
HOT_SECONDS: Final = 86_400.0
"""So long copies of what was convicted are taken aside from the spool."""
COPY: Final = "copy"
GATE: Final = "gate"
SUSPECT: Final = "suspect"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says: `strikes` convict; `observe` moves nothing."""

    strikes: int = 2
    observe: bool = False


class Cases:
    """Decides, and has it carried out by `aside` and `withholding`."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it brings together
        self,
        rules: Rules,
        journal: Journal,
        adapter: Adapter,
        examiner: Examiner,
        fuse: Fuse,
        aside: Aside,
        withholding: Withholding,
        meter: Meter,
        is_held: Callable[[Message], bool],
        published: Published | None = None,
    ) -> None:
        self._rules = rules
        self._journal = journal
        self._adapter = adapter
        self._examiner = examiner
        self.fuse = FuseBox(fuse, journal, meter)
        self._aside = aside
        self._withholding = withholding
        self._meter = meter
        self._is_held = is_held
        self._published = published
        self.released = Released(journal, adapter, published)
        self._unstored: list[tuple[Holding, Verdict, dict[str, object]]] = []
        self._on_trial = b""
        self._hot: dict[bytes, bool] = {}
        self.generation = 0
        """Counts up whenever there is something new to compare the spool with."""

    def begin(self) -> None:
        """Finish what the last life of the sidecar left open."""
        self._withholding.settle()
        self._aside.settle()
        entries = self._journal.entries()
        convicted = [
            (each.at, docket.key(each.exact, each.shape, each.identity)) for each in entries if _counts(each.cause)
        ]
        self.fuse.begin(convicted)
        self._hot = self._journal.hot(time.time() - HOT_SECONDS)

    def strike(self, culprit: Holding, verdict: Verdict, evidence: dict[str, object], *, again: bool = False) -> None:
        """Lay a worker's end to a message; convict it, or let it run once more. `again`: it could not be stored before."""
        if not again:
            self._meter.struck(verdict)
        try:
            self._strike(culprit, verdict, evidence, again=again)
        except JournalError as error:
            _log.critical("a strike could not be stored, and is kept in memory until it can: %s", error)
            self._meter.journal_failed()
            if len(self._unstored) < 1000:
                self._unstored.append((culprit, verdict, evidence))

    def _strike(self, culprit: Holding, verdict: Verdict, evidence: dict[str, object], *, again: bool) -> None:
        message, now = culprit.message, time.time()
        examined = self._examiner.examine(message)
        key = docket.key(examined.exact, examined.shape, message.identity)
        evidence |= {"cause": verdict.value, "confidence": culprit.confidence.word, "source": culprit.source}
        if not again:
            self.fuse.struck(key, now)
            self.fuse.tell()
        if self._rules.observe:
            _log.warning("observed: %s: would be a strike: %s", verdict.value, printable(message.path))
            return
        if self.fuse.blown:
            return
        known = self._journal.record(message.identity) if again else None
        if known and known.state != "struck":
            return  # what came of it was decided by others of its deaths
        with self._journal.change() as db:
            strikes = add_strike(db, culprit, verdict, examined, evidence, now)
            convicted = strikes >= self._rules.strikes and self.fuse.allows(key, now)
            if convicted:
                self._convict(db, message, examined, verdict.value, culprit.confidence.word, evidence, now)
        if convicted:
            self.fuse.convicted(key, now)
            self._meter.convicted(verdict.value, culprit.confidence.word)
            if not examined.digests:
                self._meter.unpublished.inc()
                _log.warning("convicted without a fingerprint, so nothing is published: %s", printable(message.path))
        else:
            story.strike(strikes, verdict.value, culprit.confidence.word, message.path)
        self.fuse.tell()
        self._hot |= dict.fromkeys(examined.digests, convicted)
        self.generation += 1
        self._move()

    def _move(self) -> None:
        """Move what is convicted: now, or where that cannot be stored, later. What was stored before stays so."""
        try:
            self._aside.settle()
        except JournalError as error:
            self._failed(error)

    def _failed(self, error: JournalError) -> None:
        _log.error("%s", error)
        self._meter.journal_failed()

    def _convict(
        self, db: sqlite3.Connection, message: Message, examined: Examined, cause: str, confidence: str,
        evidence: dict[str, object], now: float, original: str = "",
    ) -> None:  # fmt: skip
        db.execute("UPDATE message SET state = 'convicted', at = ? WHERE identity = ?", (now, message.identity))
        for digest in examined.digests if cause != GATE else ():  # what was refused has killed nobody
            db.execute("UPDATE fingerprint SET convicted = ?, at = ? WHERE digest = ?", (now, now, digest))
        if db.execute("SELECT 1 FROM entry WHERE identity = ? AND state = 'intended'", (message.identity,)).fetchone():
            return
        entry, original = docket.new_id(now), original or message.path
        text = json.dumps({"entry": entry, "path": printable(original, 500), "size": message.size} | evidence)
        db.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?)",
            (entry, message.identity, original, message.path, self._aside.path(entry), cause, confidence, message.size,
             now, text, examined.exact, examined.shape),
        )  # fmt: skip

    def lose(self, culprit: Holding, evidence: dict[str, object]) -> None:
        """A worker ended with a message in hand, and nothing tells why: three of these make a strike."""
        if self._rules.observe or self.fuse.blown:
            return
        message = culprit.message
        try:
            with self._journal.change() as db:
                know(db, message, Verdict.LOST.value, self._examiner.examine(message), time.time())
                db.execute("UPDATE message SET losses = losses + 1 WHERE identity = ?", (message.identity,))
                losses = db.execute("SELECT losses FROM message WHERE identity = ?", (message.identity,)).fetchone()[0]
        except JournalError as error:
            _log.error("a loss could not be stored: %s", error)
            self._meter.journal_failed()
            return
        if losses % LOSSES == 0:
            self.strike(culprit, Verdict.LOST, evidence)

    def suspect(self, holdings: Iterable[Holding]) -> None:
        """A worker held several messages when it died: none is struck; they are withheld, and let back one by one."""
        if self._rules.observe or self.fuse.blown:
            return
        try:
            for each in holdings:
                if self._journal.record(each.message.identity) is None or each.message.identity != self._on_trial:
                    self._withholding.withhold(each.message, SUSPECT)
        except JournalError as error:
            self._failed(error)

    def look_for_copies(self, paths: Iterable[str], *, is_new: bool = False) -> None:
        """Take aside what has the fingerprint of something convicted; withhold what has that of something struck.

        What somebody works on is let alone, unless it `is_new`: he has just begun, and would only die of it.
        """
        try:
            for path in paths if self.is_hot else ():
                message = self._adapter.message(path)
                if not message:
                    continue
                is_taken = bool(self._adapter.claimant(path)) or self._is_held(message)
                if is_new or not is_taken:
                    self._compare(message, self._examiner.examine(message), is_taken=is_taken)
        except JournalError as error:
            self._failed(error)

    def _compare(self, message: Message, examined: Examined, *, is_taken: bool) -> None:
        found = [digest for digest in examined.digests if self._conviction_of(digest) is not None]
        kind = self.kind_known(message, examined)
        if not found and not kind:
            return
        if self._journal.record(message.identity) or self.released(message, examined):
            return
        if kind:
            self._take_copy(message, examined, {"matched": kind})
        elif not is_taken:
            self._withholding.withhold(message, f"{COPY}:{found[0].hex()}")

    def kind_known(self, message: Message, examined: Examined) -> str:
        """Which of its fingerprints is that of something convicted, here or elsewhere: as a text, else nothing."""
        for name, digest in (("shape", examined.shape), ("exact", examined.exact)):
            if digest and self._conviction_of(digest):
                return f"{name} {digest.hex()[:12]}"
        return self._published.matches(examined, message.identity) if self._published else ""

    def is_on_trial(self, examined: Examined) -> bool:
        """Whether something like this was struck, and its retry has not ended: nobody else is to die of it meanwhile."""
        return self.is_hot and any(self._conviction_of(each) is False for each in examined.digests)

    def _conviction_of(self, digest: bytes) -> bool | None:
        """Whether a fingerprint is that of something convicted here, or struck; None for neither, and where a person says no."""
        return None if self._published and self._published.is_dropped(digest) else self._hot.get(digest)

    def refresh(self) -> None:
        """Take in what was published meanwhile."""
        if self._published and self._published.refresh():
            self.generation += 1

    def _take_copy(self, message: Message, examined: Examined, evidence: dict[str, object], original: str = "") -> None:
        now = time.time()
        with self._journal.change() as db:
            know(db, message, COPY, examined, now)
            self._convict(db, message, examined, COPY, "certain", {"cause": COPY} | evidence, now, original)
        self._meter.convicted(COPY, "certain")
        self._move()

    def ended_well(self, messages: int = 1) -> None:
        """Workers are done with so many messages."""
        self._meter.claims["done"].inc(messages)
        self.fuse.ended_well(messages)

    def hold(self, message: Message, examined: Examined, reason: str, original: str) -> bool | None:
        """Set aside what the gate does not let pass; None where it is only observed, False where it stays for now."""
        if self._rules.observe:
            _log.warning("observed: the gate would hold %s: %s", printable(message.path), reason)
            return None
        now = time.time()
        try:
            known = self._journal.record(message.identity)
            if known and known.state == "convicted":
                return False  # it could not be moved yet
            with self._journal.change() as db:
                know(db, message, GATE, examined, now)
                evidence: dict[str, object] = {"cause": GATE, "reason": reason}
                self._convict(db, message, examined, GATE, "certain", evidence, now, original)
        except JournalError as error:
            self._failed(error)
            return False  # what cannot be quarantined is not let pass
        self._meter.convicted(GATE, "certain")
        self._move()
        return True

    def knows(self, message: Message) -> bool:
        """Whether this message was struck, withheld or set aside: nobody has to be told that it is nowhere."""
        identity = message.identity
        try:
            return self._journal.record(identity) is not None or any(
                each.identity == identity for each in self._journal.withheld()
            )
        except JournalError:
            return False

    def held(self) -> tuple[int, int, int]:
        """Messages set aside, their bytes, and messages withheld; zeros while the journal cannot be read."""
        try:
            entries = self._journal.entries("aside")
            return len(entries), sum(each.size for each in entries), len(self._journal.withheld())
        except JournalError:
            return 0, 0, 0

    @property
    def is_hot(self) -> bool:
        """Whether new messages in the spool are to be compared with what is known."""
        known = self._hot or (self._published and not self._published.is_empty)
        return bool(known) and not self._rules.observe and not self.fuse.blown

    def settle(self) -> None:
        """Go on with what is open: unstored strikes, moves that failed, messages whose retry has ended, suspects."""
        try:
            unstored, self._unstored = self._unstored, []
            for each in unstored:
                self.strike(*each, again=True)
            self.fuse.settle()
            if self._rules.observe:
                return
            if self.fuse.blown:
                self._let_all_back()
                return
            self._aside.settle()
            for record in self._journal.records("struck"):
                if record.strikes and not self._find(record.identity, record.path):
                    self._acquit(record)
            self._settle_withheld()
        except JournalError as error:
            self._failed(error)

    def _find(self, identity: bytes, path: str) -> bool:
        return self._adapter.find(Message(path, identity, 0, 0)) is not None

    def _acquit(self, record: Record) -> None:
        """Its retry went well: what it was struck for was not its fault, or not for good."""
        withheld = any(each.identity == record.identity for each in self._journal.withheld())
        if withheld:
            return
        with self._journal.change() as db:
            db.execute("DELETE FROM message WHERE identity = ?", (record.identity,))
            for digest in filter(None, (record.exact, record.shape)):
                db.execute("DELETE FROM fingerprint WHERE digest = ? AND convicted = 0", (digest,))
        self._hot = self._journal.hot(time.time() - HOT_SECONDS)
        _log.info("done at its second try: %s", printable(record.path))

    def _let_all_back(self) -> None:
        """While the router is taken to be broken nobody waits for anybody's trial."""
        for each in self._journal.withheld():
            if each.state == "intended":
                self._withholding.settle()
            else:
                self._withholding.let_back(each)

    def _settle_withheld(self) -> None:
        suspects: list[Withheld] = []
        for each in self._journal.withheld():
            reason, _, digest = each.reason.partition(":")
            if each.state != "kept":
                self._withholding.settle()
            elif reason == SUSPECT:
                suspects.append(each)
            elif self._hot.get(bytes.fromhex(digest)) is None:
                self._withholding.let_back(each)
            elif self._hot[bytes.fromhex(digest)]:
                self._convict_withheld(each)
        if suspects and not (self._on_trial and self._find(self._on_trial, suspects[0].original)):
            self._on_trial = suspects[0].identity
            self._withholding.let_back(suspects[0])

    def _convict_withheld(self, withheld: Withheld) -> None:
        message = self._adapter.message(withheld.kept)
        if not message:
            self._withholding.forget(withheld.identity)
            return
        self._take_copy(message, self._examiner.examine(message), {}, withheld.original)
        self._withholding.forget(withheld.identity)


def _counts(cause: str) -> bool:
    return cause not in {COPY, GATE}
