"""What a session needs of its surroundings, in one process: a context that remembers, and a host with a real judge and desk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import milter

from forebay.config import Config, load
from forebay.judge.fingerprints import load_judge_and_matcher
from forebay.records import Records
from forebay.smtp.desk import Desk
from forebay.smtp.session import Callbacks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forebay.judge.verdict import Verdict
    from forebay.message.envelope import Envelope
    from forebay.records import Record
    from forebay.smtp.session import Session

HOSTNAME = "mx.example.org"


@dataclass
class Context:
    """pymilter's context of a connection, as far as a session uses it: what was done with it is written down."""

    macros: dict[str, str | None] = field(default_factory=dict)
    private: object = None
    replies: list[tuple[str, ...]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    added: list[tuple[str, str, int]] = field(default_factory=list)
    changed: list[tuple[str, int, str | None]] = field(default_factory=list)

    def forget(self) -> None:
        """Before the next command."""
        for each in (self.replies, self.quarantined, self.added, self.changed):
            each.clear()

    def getpriv(self) -> object:
        """What the session has put there."""
        return self.private

    def setpriv(self, given: object) -> None:
        """Put it there."""
        self.private = given

    def getsymval(self, name: str) -> str | None:
        """A macro; one that is not text makes pymilter raise."""
        value = self.macros.get(name)
        if value == "\udcff":
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "not text")
        return value

    def setsymlist(self, stage: int, macros: str) -> None:
        """Asked for."""
        assert isinstance(macros, str)

    def setreply(self, *reply: str) -> None:
        """The last one before an answer is what the client gets."""
        code, enhanced, text = reply
        assert code[0] == enhanced[0]
        assert code[0] in "45"
        assert "%" not in text.replace("%%", "")
        self.replies.append(reply)

    def quarantine(self, reason: str) -> None:
        """The MTA holds the message."""
        self.quarantined.append(reason)

    def addheader(self, name: str, value: str, index: int) -> None:
        """The MTA adds a field."""
        self.added.append((name, value, index))

    def chgheader(self, name: str, number: int, value: str | None) -> None:
        """The MTA changes one, or takes it off."""
        self.changed.append((name, number, value))


class Host:
    """The worker, without its process: judge and desk are those of the service."""

    def __init__(self, config: Config) -> None:
        self.judge, matcher = load_judge_and_matcher(config)
        self.desk = Desk(config, matcher)
        self.records = Records(_records(config))
        self.records.make()
        self.may_quarantine = self.judge.may_quarantine or self.desk.may_quarantine
        self.may_tag = self.judge.may_tag or self.desk.may_tag
        self.hostname = HOSTNAME
        self.tag_field = config.milter.tag_field
        self.reply_url = config.milter.reply_url
        self.sessions = 0
        self.most_sessions = 1
        self.is_disk_full = False
        self.failures: list[str] = []
        self.verdicts: list[Verdict] = []
        self.validator_errors: list[tuple[str, BaseException]] = []
        self.judge.failed = lambda *failure: self.validator_errors.append(failure)

    def opened(self) -> bool:
        """Count it."""
        self.sessions += 1
        return self.sessions <= self.most_sessions

    def closed(self) -> None:
        """Count it."""
        self.sessions -= 1

    def judged(self, session: Session, verdict: Verdict, seconds: float) -> None:
        """Remember it."""
        assert seconds >= 0
        self.verdicts.append(verdict)

    def verdict(self, session: Session) -> Verdict:
        """As a worker does it."""
        envelope: Envelope = session.envelope
        return self.desk.compare(session, envelope, self.judge.judge(session.fields, envelope, session.body))

    def recipient_verdict(self, session: Session, recipient: bytes) -> Verdict:
        """As a worker does it."""
        return self.judge.judge_recipient(session.envelope, recipient)

    def announce(self, session: Session, verdict: Verdict) -> Record:
        """As a worker does it."""
        return self.desk.record(session, verdict)

    def hold(self, record: Record, queue_id: str, version: str) -> bool:
        """As a worker does it, on a disk that may be full."""
        if self.is_disk_full:
            raise OSError(28, "No space left on device")
        return self.desk.hold(record, queue_id, version)

    def failed(self, where: str) -> None:
        """Remember it."""
        self.failures.append(where)


class Library:
    """The C module, as far as callbacks are registered with it: calls them as libmilter does."""

    def __init__(self, host: Host) -> None:
        self.called: dict[str, Callable[..., int]] = {}
        Callbacks(host).register(self)

    def __getattr__(self, name: str) -> Any:
        assert hasattr(milter, name)
        return lambda function: self.called.__setitem__(name.removeprefix("set_").removesuffix("_callback"), function)

    def register(self, name: str, negotiate: Callable[..., int]) -> None:
        """The last of all."""
        self.called["negotiate"] = negotiate


def configuration(folder: Path, text: str) -> Config:
    """A configuration whose state is in a folder."""
    file = folder / "forebay.toml"
    file.write_text(f'[milter]\nstate = "{folder}"\nhostname = "{HOSTNAME}"\nuser = ""\n{text}')
    return load(str(file))


def _records(config: Config) -> Path:
    from pathlib import Path

    from forebay import records

    return Path(config.milter.state, records.DIRECTORY)
