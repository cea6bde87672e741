"""One milter session: what the MTA says, collected as bytes; one verdict a message.

The MTA is asked for no more than the judge needs. Connect, HELO, DATA and unknown commands are declined; sender,
recipients and fields come without waiting for an answer; the body is declined, or skipped after its first chunk. A
rejection is the answer to the end of the header (to the end of the message where the judge needs the body); a
quarantine and a tag are possible only at the end of the message.

Whatever goes wrong in here is answered with a temporary error: nothing is accepted unchecked.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import milter

from forebay.judge import wording
from forebay.judge.verdict import CLEAN
from forebay.message.envelope import Envelope
from forebay.message.finding import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.judge.runner import Judge
    from forebay.judge.verdict import Verdict
    from forebay.records import Record

Context = Any
"""pymilter's context of a connection: it has no types."""

FAILURE: Final = ("451", "4.3.0", "forebay failed on this message; try again later")
BUSY: Final = ("451", "4.3.2", "forebay serves too many sessions; try again later")
FULL: Final = ("451", "4.3.1", "the quarantine of this host is full; try again later")
NO_QUARANTINE: Final = ("451", "4.3.5", "the MTA offers forebay no quarantine; try again later")

MAIL_MACROS: Final = "i {client_addr} {auth_type} {auth_authen} {mail_addr}"
"""Asked for at MAIL. The queue id is asked for again later: some MTAs do not have it yet."""
_CLIENT_FALLBACK: Final = "_"

_MOST_TAGS: Final = 1000
_DECLINED: Final = milter.P_NOCONNECT | milter.P_NOHELO | milter.P_NODATA | milter.P_NOUNKNOWN
_STATUSES: Final = frozenset(
    {milter.CONTINUE, milter.REJECT, milter.TEMPFAIL, milter.ACCEPT, milter.NOREPLY, milter.SKIP}
)


class Host(Protocol):
    """The worker, as far as a session needs it."""

    judge: Judge
    may_quarantine: bool
    may_tag: bool
    hostname: str
    tag_field: str
    reply_url: str

    def opened(self) -> bool:
        """A session begins; False where there are too many."""

    def closed(self) -> None:
        """It ends."""

    def judged(self, session: Session, verdict: Verdict, seconds: float) -> None:
        """Count a verdict, and log it."""

    def verdict(self, session: Session) -> Verdict:
        """Judge what the session has collected, under the watchdog's eyes."""

    def recipient_verdict(self, session: Session, recipient: bytes) -> Verdict:
        """Judge a recipient alone, under the watchdog's eyes."""

    def announce(self, session: Session, verdict: Verdict) -> Record:
        """What is to be written down of a message that is quarantined."""

    def hold(self, record: Record, queue_id: str, version: str) -> bool:
        """Write it down, for good; False where no more may be held. Raises OSError."""

    def failed(self, where: str) -> None:
        """Count and log the exception that is being handled."""


class Session:
    """What is known of one connection and of the message that it is in."""

    __slots__ = (
        "authenticated", "body", "broken", "client", "early", "fields", "late_tags", "leading_blank",
        "matched", "may_hold", "may_tag", "noreply_eoh", "noreply_header", "noreply_mail", "noreply_rcpt", "queue_id",
        "recipients", "record", "refused", "sender", "size", "skip", "smtputf8", "verdict",
    )  # fmt: skip

    def __init__(self) -> None:
        self.refused = False
        self.may_hold = self.may_tag = False
        self.leading_blank = True
        self.noreply_mail = self.noreply_rcpt = self.noreply_header = self.noreply_eoh = self.skip = int(
            milter.CONTINUE
        )
        self.begin_message(b"<>")

    def begin_message(self, sender: bytes) -> None:
        """Forget the message before, and begin one."""
        self.sender = sender
        self.recipients: list[bytes] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.late_tags: list[bytes] = []
        self.size = 0
        self.body = b""
        self.client = self.queue_id = ""
        self.authenticated = self.smtputf8 = self.broken = False
        self.verdict: Verdict | None = None
        self.matched = b""
        self.record: Record | None = None

    @property
    def envelope(self) -> Envelope:
        """The envelope so far."""
        return Envelope(self.sender, tuple(self.recipients), self.client, self.authenticated, self.smtputf8)


class Callbacks:
    """The functions that libmilter calls. No exception leaves them, and no status that libmilter does not know."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._judge = host.judge
        self._most_bytes = host.judge.collect_bytes
        self._most_fields = host.judge.collect_fields
        self._tag = host.tag_field.lower()
        self._actions, self._steps = _wanted(host)
        self._macros = _macros_read(host.judge)

    def register(self, library: Any) -> None:
        """Set them all."""
        library.set_envfrom_callback(self._guarded(self.mail, "MAIL"))
        library.set_envrcpt_callback(self._guarded(self.rcpt, "RCPT"))
        library.set_header_callback(self.header)
        library.set_eoh_callback(self._guarded(self.end_of_header, "end of header"))
        library.set_body_callback(self._guarded(self.body, "body"))
        library.set_eom_callback(self._guarded(self.end_of_message, "end of message"))
        library.set_close_callback(self.close)
        library.register("forebay", negotiate=self.negotiate)

    def negotiate(self, ctx: Context, options: list[int]) -> int:
        """Agree on what the MTA sends and what may be done. `options`: actions, protocol steps, and two zeros."""
        try:
            session = ctx.getpriv()
            if not isinstance(session, Session):  # an MTA may negotiate again on the same connection
                session = Session()
                ctx.setpriv(session)
                session.refused = not self._host.opened()
            self._agree(ctx, session, options)
        except BaseException:  # noqa: BLE001 - the C code has no use for it
            self._host.failed("negotiation")
            options[:] = [0, _DECLINED & options[1], 0, 0]  # nothing but what end_of_header needs to answer
        return int(milter.CONTINUE)

    def _agree(self, ctx: Context, session: Session, options: list[int]) -> None:
        actions, steps = options[0], options[1]
        wanted = self._steps if session.refused else self._steps | milter.P_NR_MAIL
        granted = steps & wanted
        session.may_hold = bool(actions & self._actions & milter.QUARANTINE)
        session.may_tag = bool(actions & self._actions & milter.ADDHDRS)
        session.noreply_mail = _noreply(granted & milter.P_NR_MAIL)
        session.noreply_rcpt = _noreply(granted & milter.P_NR_RCPT)
        session.noreply_header = _noreply(granted & milter.P_NR_HDR)
        session.noreply_eoh = _noreply(granted & milter.P_NR_EOH)
        session.skip = milter.SKIP if granted & milter.P_SKIP else milter.CONTINUE
        session.leading_blank = bool(granted & milter.P_HDR_LEADSPC)
        options[:] = [actions & self._actions, granted, 0, 0]
        if actions & milter.SETSYMLIST:
            for stage, macros in self._macros:
                ctx.setsymlist(stage, macros)  # a str: pymilter's own class passes bytes, and loses everything

    def mail(self, ctx: Context, session: Session, sender: bytes, *parameters: bytes) -> int:
        """MAIL FROM: a new message."""
        session.begin_message(sender)
        if session.refused:
            ctx.setreply(*BUSY)
            return int(milter.TEMPFAIL)
        session.smtputf8 = b"SMTPUTF8" in map(bytes.upper, parameters)
        session.client = _client(ctx)
        session.authenticated = bool(_macro(ctx, "{auth_authen}") or _macro(ctx, "{auth_type}"))
        return session.noreply_mail

    def rcpt(self, ctx: Context, session: Session, recipient: bytes, *_: bytes) -> int:
        """RCPT TO: answered only where recipients are judged alone, and then only to reject."""
        if self._judge.reject_at_rcpt and session.noreply_rcpt != milter.NOREPLY:
            verdict = self._host.recipient_verdict(session, recipient)
            if verdict.action is Action.REJECT:
                return self._refuse(ctx, verdict)
        session.recipients.append(recipient)
        return session.noreply_rcpt

    def header(self, ctx: Context, name: str, value: bytes) -> int:
        """One field. The hottest function of all, hence its own guard."""
        session = None
        try:
            session = ctx.getpriv()
            fields, size = session.fields, session.size
            if size <= self._most_bytes and len(fields) <= self._most_fields:
                session.size = size + len(name) + len(value) + 2
                fields.append((name.encode(), value if session.leading_blank else b" " + value))
            elif name.lower() == self._tag and len(session.late_tags) < _MOST_TAGS:
                session.late_tags.append(value)
            return session.noreply_header  # type: ignore[no-any-return]  # noqa: TRY300 - no types; a hot path
        except BaseException:  # noqa: BLE001 - the C code has no use for it
            self._host.failed("header")
            if isinstance(session, Session):
                session.broken = True
                return session.noreply_header
            return int(milter.TEMPFAIL)

    def end_of_header(self, ctx: Context, session: Session) -> int:
        """The verdict, where the header is all that is needed."""
        if self._judge.needs_body:
            return session.noreply_eoh
        self._decide(ctx, session)
        return self._answer(ctx, session, final=False)

    def body(self, _: Context, session: Session, chunk: bytes) -> int:
        """The first chunk, which is all that is wanted."""
        if not session.body:
            session.body = bytes(chunk)
        return session.skip

    def end_of_message(self, ctx: Context, session: Session) -> int:
        """The verdict, if there is none yet; then what can be done only now."""
        if session.verdict is None:
            self._decide(ctx, session)
        status = self._answer(ctx, session, final=True)
        session.verdict = session.record = None  # what is left is forgotten at the next MAIL
        session.late_tags = []
        return status

    def close(self, ctx: Context) -> int:
        """The connection ends."""
        try:
            if isinstance(ctx.getpriv(), Session):
                ctx.setpriv(None)
                self._host.closed()
        except BaseException:  # noqa: BLE001 - the C code has no use for it
            self._host.failed("close")
        return int(milter.CONTINUE)

    def _decide(self, ctx: Context, session: Session) -> None:
        """Judge, log, and forget the bytes, except for what is needed to take off forged tags."""
        session.queue_id = _macro(ctx, "i")
        if session.broken:
            raise RuntimeError("an earlier part of this message was lost")
        started = time.perf_counter()
        verdict = self._host.verdict(session)
        self._host.judged(session, verdict, time.perf_counter() - started)
        if verdict.action is Action.QUARANTINE and session.may_hold:
            session.record = self._host.announce(session, verdict)
        if session.may_tag:
            tag, size = self._tag.encode(), len(self._tag)
            found = [value for name, value in session.fields if len(name) == size and name.lower() == tag]
            session.late_tags = found + session.late_tags
        session.fields = []
        session.body = b""
        session.verdict = verdict

    def _answer(self, ctx: Context, session: Session, *, final: bool) -> int:
        verdict = session.verdict or CLEAN
        action = verdict.action
        if action in {Action.REJECT, Action.TEMPFAIL}:
            return self._refuse(ctx, verdict)
        if not final:
            return int(milter.CONTINUE)
        if action is Action.QUARANTINE:
            if not session.record:
                ctx.setreply(*NO_QUARANTINE)
                return int(milter.TEMPFAIL)
            if not self._host.hold(session.record, _macro(ctx, "i"), _macro(ctx, "v")):
                ctx.setreply(*FULL)
                return int(milter.TEMPFAIL)
            ctx.quarantine(wording.quarantine_reason(verdict))
        if session.may_tag:
            self._renew_tags(ctx, session, verdict)
        return int(milter.CONTINUE)  # not ACCEPT: older Postfix may carry that over into the next message

    def _refuse(self, ctx: Context, verdict: Verdict) -> int:
        reply = wording.reply(verdict, self._host.reply_url)
        ctx.setreply(reply.code, reply.enhanced, reply.text.replace("%", "%%"))  # libmilter drops the text otherwise
        return int(milter.REJECT if reply.code.startswith("5") else milter.TEMPFAIL)

    def _renew_tags(self, ctx: Context, session: Session, verdict: Verdict) -> None:
        """Take off tags that claim to be ours, the last first (indices of the others stay), then put on our own."""
        name, hostname = self._host.tag_field, self._host.hostname
        for number, forged in reversed(list(enumerate(session.late_tags, 1))):
            if wording.is_own_tag(forged, hostname):
                ctx.chgheader(name, number, None)
        if verdict.action in {Action.TAG, Action.QUARANTINE}:
            value = wording.tag_value(verdict, hostname).decode("ascii", "replace").lstrip(" ")
            ctx.addheader(name, f" {value}" if session.leading_blank else value, 0)

    def _guarded(self, act: Callable[..., int], name: str) -> Callable[..., int]:
        """Let nothing out but a status that libmilter knows: it answers nothing at all to another one."""

        def call(ctx: Context, *arguments: Any) -> int:
            try:
                session = ctx.getpriv()
                if not isinstance(session, Session):
                    raise TypeError("a command before the negotiation")  # noqa: TRY301 - the guard below is the point
                try:
                    status = act(ctx, session, *arguments)
                except BaseException:
                    session.broken = True
                    raise
                if status not in _STATUSES:
                    raise ValueError(f"status {status!r}")  # noqa: TRY301 - the guard below is the point
            except BaseException:  # noqa: BLE001 - the C code has no use for it
                self._host.failed(name)
                return _failure(ctx)
            return status

        return call


def _wanted(host: Host) -> tuple[int, int]:
    """The actions and protocol steps to agree on, where the MTA offers them."""
    actions = milter.SETSYMLIST
    actions |= milter.QUARANTINE if host.may_quarantine else 0
    actions |= milter.ADDHDRS | milter.CHGHDRS if host.may_tag else 0
    steps = _DECLINED | milter.P_NR_HDR | milter.P_HDR_LEADSPC
    steps |= 0 if host.judge.reject_at_rcpt else milter.P_NR_RCPT
    # Where the verdict waits for the body, the end of the header tells nothing.
    steps |= milter.P_SKIP | milter.P_NOEOH | milter.P_NR_EOH if host.judge.needs_body else milter.P_NOBODY
    return int(actions), int(steps)


def _macros_read(judge: Judge) -> tuple[tuple[int, str], ...]:
    """The macros that a message's verdict needs, by stage; the queue id at the stage of the verdict.

    Postfix sends those of the end of the header with each field: half of all that it says, unless there are none.
    """
    return (
        (milter.M_ENVFROM, MAIL_MACROS),
        (milter.M_ENVRCPT, "i" if judge.reject_at_rcpt else ""),
        (milter.M_EOH, "" if judge.needs_body else "i"),
        (milter.M_EOM, "i v"),
    )


def _failure(ctx: Context) -> int:
    with contextlib.suppress(BaseException):  # then the MTA words the temporary error itself
        ctx.setreply(*FAILURE)
    return int(milter.TEMPFAIL)


def _noreply(granted: int) -> int:
    return int(milter.NOREPLY if granted else milter.CONTINUE)


def _macro(ctx: Context, name: str) -> str:
    """A macro's value, empty where the MTA sent none or one that is not text."""
    try:
        return ctx.getsymval(name) or ""
    except UnicodeError:
        return ""


def _client(ctx: Context) -> str:
    """The client's address: from {client_addr}, else from `_`, which ends with the address in brackets."""
    address = _macro(ctx, "{client_addr}") or _macro(ctx, _CLIENT_FALLBACK).partition("[")[2].partition("]")[0]
    return address[5:] if address[:5].lower() == "ipv6:" else address
