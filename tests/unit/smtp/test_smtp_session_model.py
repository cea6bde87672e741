"""A model of a milter session, compared with the real one over any order of commands, messages and connections."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import milter
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from forebay.config import Config
from forebay.judge import wording
from forebay.message.envelope import Envelope
from forebay.message.finding import Action
from forebay.smtp.session import BUSY, FAILURE, FULL, NO_QUARANTINE, Session
from unit.growth import LONG
from unit.message.grammar_pieces import addr_specs, values
from unit.smtp.session_kit import HOSTNAME, Context, Host, Library, configuration

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

CONFIGURATIONS: Final = {
    "usual": """
        [policy.exempt]
        networks = ["198.51.100.0/24"]
        """,
    "header only": """
        [policy]
        reject_at_rcpt = true
        actions = {"header-missing-colon" = "accept"}
        [validators]
        header-missing-colon = {enabled = false}
        header-body-separator-missing = {enabled = false}
        header-leading-continuation = {enabled = false}
        header-count = {quarantine_above = 4, reject_above = 5}
        """,
    "observe": """
        [policy]
        preset = "observe"
        """,
}
ACTIONS: Final = (milter.QUARANTINE, milter.ADDHDRS | milter.CHGHDRS, milter.SETSYMLIST)
STEPS: Final = tuple(
    getattr(milter, f"P_{name}")
    for name in (
        "NOCONNECT", "NOHELO", "NODATA", "NOUNKNOWN", "NR_HDR", "NR_MAIL", "NR_RCPT", "NR_EOH", "SKIP", "NOEOH",
        "NOBODY", "HDR_LEADSPC",
    )
)  # fmt: skip
KNOWN: Final = {milter.CONTINUE, milter.REJECT, milter.TEMPFAIL, milter.NOREPLY, milter.SKIP}
TAG: Final = Config().milter.tag_field.lower().encode()
NAMES: Final = (
    "From",
    "To",
    "Date",
    "Subject",
    "Content-Type",
    Config().milter.tag_field,
    "received",
    "caf\u00e9",
    "Cc",
)
MACROS: Final = ("i", "v", "_", "{client_addr}", "{auth_type}", "{auth_authen}", "{mail_addr}")
MACRO_VALUES: Final = (
    None, "", "\udcff", "4bXy1", "Postfix 3.7.11", "8.17.1.9", "192.0.2.1", "198.51.100.7", "IPv6:2001:db8::1",
    "host [198.51.100.9]", "PLAIN", "\x1b[2J\n",
)  # fmt: skip

paths = st.one_of(st.just(b"<>"), addr_specs.map(b"<%s>".__mod__), st.sampled_from([b'<"[a@b>', b"<a@b", b"", b"\xff"]))


@functools.cache
def host_of(name: str) -> tuple[Host, Host]:
    """A host of a configuration for the sessions, and one of its own for the model: what it has judged before is another."""
    folder = Path(tempfile.mkdtemp(prefix="forebay-session-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = configuration(folder, CONFIGURATIONS[name])
    return Host(config), Host(config)


class Sessions(RuleBasedStateMachine):
    """One connection after the other. What the model remembers of a message is what was said since its MAIL."""

    def __init__(self) -> None:
        super().__init__()
        self.context = Context()
        self.is_open = self.is_refused = self.is_broken = False
        self.may_hold = self.may_tag = False
        self.can: int = 0
        self.begin(b"<>")

    def begin(self, sender: bytes) -> None:
        """A message begins: nothing of the one before is left."""
        self.envelope = Envelope(sender)
        self.fields: list[tuple[bytes, bytes]] = []
        self.tags: list[bytes] = []
        self.body = b""
        self.is_broken = False
        self.verdict: Verdict | None = None
        self.has_record = False
        self.held: tuple[object, ...] = ()

    @initialize(name=st.sampled_from(sorted(CONFIGURATIONS)), most=st.integers(0, 4))
    def start(self, name: str, most: int) -> None:
        """A worker of one of the configurations, which takes so many sessions at once, most often enough."""
        self.host, self.other = host_of(name)
        self.host.sessions, self.host.most_sessions, self.host.is_disk_full = 0, most or 0, False
        for each in (self.host.failures, self.host.verdicts, self.host.validator_errors):
            each.clear()
        shutil.rmtree(self.host.records._directory)
        self.host.records.make()
        self.call = Library(self.host).called

    def teardown(self) -> None:
        """No validator has failed on the way, and no session is left."""
        if hasattr(self, "host"):
            self.close()
            assert self.host.sessions == 0
            assert self.host.validator_errors == []

    def do(self, command: str, *given: object, fails: bool = False) -> int:
        """Call what libmilter calls: never an exception, and a status that it knows."""
        self.context.forget()
        before = len(self.host.failures)
        status = self.call[command](self.context, *given)
        assert status in KNOWN
        assert len(self.host.failures) - before == fails, self.host.failures
        if fails:
            assert status == milter.TEMPFAIL
            assert self.context.replies[-1:] == [FAILURE] or command == "header"
        return status

    def granted(self, step: int) -> int:
        """Whether the MTA does without an answer there, as a status."""
        return int(milter.NOREPLY if self.can & step else milter.CONTINUE)

    # -- the connection --

    @rule(actions=st.sets(st.sampled_from(ACTIONS)), without=st.sets(st.sampled_from(STEPS), max_size=3))
    def negotiate(self, actions: set[int], without: set[int]) -> None:
        """An MTA that can do all but this; it may negotiate again on the same connection."""
        offered = sum(set(STEPS) - without)
        options = [sum(actions), offered, 0, 0]
        assert self.do("negotiate", options) == milter.CONTINUE
        assert not options[0] & ~sum(actions)
        assert not options[1] & ~offered
        if not self.is_open:
            self.is_open, self.is_refused = True, self.host.sessions > self.host.most_sessions
            self.begin(b"<>")
        self.can = options[1]
        self.may_hold = self.host.may_quarantine and milter.QUARANTINE in actions
        self.may_tag = self.host.may_tag and ACTIONS[1] in actions

    @rule()
    def close(self) -> None:
        """The end of the connection, whenever it comes."""
        assert self.do("close") == milter.CONTINUE
        assert self.context.private is None
        self.is_open = False

    @rule(macro=st.sampled_from(MACROS), value=st.sampled_from(MACRO_VALUES))
    def define(self, macro: str, value: str | None) -> None:
        """The MTA sends a macro with the next commands, or none, or one that is not text."""
        self.context.macros[macro] = value

    @rule(full=st.booleans(), snapshot=st.booleans())
    def trouble(self, full: bool, snapshot: bool) -> None:
        """The disk is full, or it is not; so is the quarantine."""
        self.host.is_disk_full = full
        self.host.desk.matcher.snapshot = replace(self.host.desk.matcher.snapshot, is_full=snapshot)

    # -- one message --

    @rule(sender=paths, parameters=st.lists(st.sampled_from([b"SMTPUTF8", b"smtputf8", b"SIZE=9"]), max_size=2))
    def mail(self, sender: bytes, parameters: list[bytes]) -> None:
        """MAIL: also after a message that was given up, of which nothing is told."""
        status = self.do("envfrom", sender, *parameters, fails=not self.is_open)
        if not self.is_open:
            return
        self.begin(sender)
        if self.is_refused:
            assert (status, self.context.replies) == (milter.TEMPFAIL, [BUSY])
            return
        utf8 = any(each.upper() == b"SMTPUTF8" for each in parameters)
        self.envelope = Envelope(
            sender, (), self.client(), bool(self.macro("{auth_authen}") or self.macro("{auth_type}")), utf8
        )
        assert status == self.granted(milter.P_NR_MAIL)

    def macro(self, name: str) -> str:
        """A macro as it should be taken."""
        value = self.context.macros.get(name) or ""
        return "" if value == "\udcff" else value

    def client(self) -> str:
        """The address of the client, from either macro."""
        if self.macro("{client_addr}"):
            return self.macro("{client_addr}").removeprefix("IPv6:")
        return self.macro("_")[6:-1] if self.macro("_").startswith("host [") else ""

    @rule(path=paths)
    def rcpt(self, path: bytes) -> None:
        """RCPT: refused alone only where recipients are judged alone."""
        status = self.do("envrcpt", path, fails=not self.is_open)
        if not self.is_open:
            return
        alone = self.other.judge.judge_recipient(self.envelope, path)
        if self.host.judge.reject_at_rcpt and alone.action is Action.REJECT:
            self.check_refusal(status, alone)
            return
        self.envelope = replace(self.envelope, recipients=(*self.envelope.recipients, path))
        assert status == self.granted(milter.P_NR_RCPT)

    @rule(name=st.sampled_from(NAMES), data=st.data(), times=st.sampled_from([1, 1, 1, 8]))
    def header(self, name: str, data: st.DataObject, times: int) -> None:
        """A field, or the same several times: anything in it, and tags that claim to be ours."""
        key = name.lower().encode()
        tags = st.sampled_from([f" {HOSTNAME}; reject; x".encode(), b"MX.example.ORG ;y", b" other; z"])
        value = b" " + data.draw(tags if key == TAG else values(key)).lstrip(b" ")
        said = value if self.can & milter.P_HDR_LEADSPC else value[1:]
        for _ in range(times):
            status = self.do("header", name, said, fails=not self.is_open)
            if not self.is_open:
                return
            assert status == self.granted(milter.P_NR_HDR)
            if len(self.fields) <= self.host.judge.collect_fields:
                self.fields.append((name.encode(), value))
            elif key == TAG:
                self.tags.append(said)

    @rule()
    def header_with_a_name_that_is_no_text(self) -> None:
        """What cannot be kept costs the message, not the session."""
        before = len(self.host.failures)
        status = self.call["header"](self.context, "\udce9", b" x")
        assert self.host.failures[before:] == ["header"]
        assert status == (self.granted(milter.P_NR_HDR) if self.is_open else milter.TEMPFAIL)
        self.is_broken = self.is_open

    @rule(data=st.data())
    def body_chunk(self, data: st.DataObject) -> None:
        """A chunk of the body: the first is all that is wanted."""
        chunk = data.draw(values(b"body"))
        status = self.do("body", chunk, fails=not self.is_open)
        if self.is_open:
            assert status == (milter.SKIP if self.can & milter.P_SKIP else milter.CONTINUE)
            self.body = self.body or chunk

    @rule()
    def end_of_header(self) -> None:
        """The verdict, if the body changes nothing: a rejection is answered at once, and nothing else is done yet."""
        if not self.is_open or (self.is_broken and not self.host.judge.needs_body):
            self.do("eoh", fails=True)
        elif self.host.judge.needs_body:
            assert self.do("eoh") == self.granted(milter.P_NR_EOH)
            assert not self.context.replies
        else:
            status = self.do("eoh")
            self.check_answer(status, self.decide())
            assert not self.context.quarantined
            assert not self.context.added
            assert not self.context.changed

    @rule()
    def end_of_message(self) -> None:
        """The verdict, if there is none; what is held is written down before, and only then held."""
        decides = self.verdict is None
        if not self.is_open or (decides and self.is_broken):
            self.do("eom", fails=True)
            return
        told, before = len(self.host.verdicts), set(self.host.records.new())
        fails = self.host.is_disk_full and (self.is_to_be_recorded() if decides else self.has_record)
        status = self.do("eom", fails=fails)
        assert len(self.host.verdicts) == told + decides
        verdict = self.verdict or self.decide()
        if fails:
            assert not self.context.quarantined
            self.is_broken = True
            return
        self.check_end(status, verdict, set(self.host.records.new()) - before)
        self.verdict, self.has_record, self.tags = None, False, []

    def check_end(self, status: int, verdict: Verdict, written: set[str]) -> None:
        """What is done at the end of a message, by its verdict."""
        holds = self.has_record and not self.host.desk.matcher.snapshot.is_full
        assert self.context.quarantined == ([wording.quarantine_reason(verdict)] if holds else [])
        assert len(written) == holds
        for each in written:
            self.check_record(each, verdict)
        if verdict.action is Action.QUARANTINE and not holds:
            assert status == milter.TEMPFAIL
            assert self.context.replies == [FULL if self.has_record else NO_QUARANTINE]
        elif not self.check_answer(status, verdict):
            self.check_tags(verdict)
            return
        assert not self.context.added
        assert not self.context.changed

    def check_record(self, written: str, verdict: Verdict) -> None:
        """It is of this message."""
        record = self.host.records.read(written)
        assert (record.sender, record.recipients, record.header) == self.held
        assert record.action == verdict.action.word
        assert [each.id for each in record.findings] == [each.id for each in verdict.findings]

    def check_answer(self, status: int, verdict: Verdict) -> bool:
        """The answer to a verdict; true where it refuses."""
        if verdict.action in {Action.REJECT, Action.TEMPFAIL}:
            self.check_refusal(status, verdict)
            return True
        assert status == milter.CONTINUE
        assert not self.context.replies
        return False

    def check_refusal(self, status: int, verdict: Verdict) -> None:
        """In the words of its reason."""
        reply = wording.reply(verdict)
        assert status == (milter.REJECT if verdict.action is Action.REJECT else milter.TEMPFAIL)
        assert self.context.replies == [(reply.code, reply.enhanced, reply.text.replace("%", "%%"))]

    def check_tags(self, verdict: Verdict) -> None:
        """Tags that claim to be ours are taken off, the last first, and one of ours is put on where the verdict says so."""
        forged = [number for number, value in enumerate(self.tags, 1) if wording.is_own_tag(value, HOSTNAME)]
        removed = [(self.host.tag_field, number, None) for number in reversed(forged)]
        assert self.context.changed == (removed if self.may_tag else [])
        tagged = self.may_tag and verdict.action in {Action.TAG, Action.QUARANTINE}
        wanted = [(self.host.tag_field, 0)] if tagged else []
        assert [(name, index) for name, _, index in self.context.added] == wanted
        for _, value, _ in self.context.added:
            assert value.startswith(" ") == bool(self.can & milter.P_HDR_LEADSPC)
            assert value.strip().encode() == wording.tag_value(verdict, HOSTNAME)

    def expect(self) -> Verdict:
        """The verdict of another judge, on the whole message at once."""
        return self.other.judge.judge(tuple(self.fields), self.envelope, self.body)

    def is_to_be_recorded(self) -> bool:
        """Whether that makes a record, where the MTA can hold mail."""
        return self.may_hold and self.expect().action is Action.QUARANTINE

    def decide(self) -> Verdict:
        """A verdict was made just now: it must be the expected one, and the bytes are forgotten."""
        verdict = self.expect()
        assert self.host.verdicts[-1] == verdict
        self.has_record = self.is_to_be_recorded()
        if self.may_tag:
            self.tags = [value for name, value in self.fields if name.lower() == TAG] + self.tags
        self.held = (self.envelope.sender, self.envelope.recipients, tuple(self.fields))
        self.verdict, self.fields, self.body = verdict, [], b""
        session = self.context.private
        assert isinstance(session, Session)
        assert not session.fields
        assert not session.body
        return verdict


TestSessions = Sessions.TestCase
TestSessions.__doc__ = (
    "Any order of commands, macros and connections: the verdict of the message at once, and nothing is kept."
)
TestSessions.settings = settings(max_examples=2000 if LONG else 60, stateful_step_count=40)
