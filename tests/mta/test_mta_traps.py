"""The traps of libmilter, pymilter and the MTAs that were hit on the way here, each with a test that falls into it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
import types
from typing import TYPE_CHECKING, Any, Self

import milter
import pytest

from forebay.api import ACCEPT, QUARANTINE, REJECT
from forebay.errors import UnavailableError
from forebay.quickstart.private_postfix import private_folder
from forebay.smtp import libmilter
from forebay.smtp.session import Callbacks, Session
from forebay.testing import Message, milter_service
from forebay.testing import milter_protocol as p
from mta.milter_load import KINDS
from mta.private_site import DEADLINE, GOOD, eventually, message, processes
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterService

# Text that must not reach an SMTP reply, a log or a terminal as it is.
HOSTILE = """\
from forebay.api import *

@validator(id="hostile", rfc="", fields=("x-hostile",), action=REJECT, good=[], bad=[])
class Hostile(FieldValidator):
    '''Says what it should not.'''

    def check(self, field):
        yield self.find("100% of %s \\xe9\\u65e5! " + "x" * 370, field)

plugin = Plugin(name="hostile", api=1, validators=(Hostile,))
"""


@pytest.fixture(scope="module")
def service() -> Iterator[MilterService]:
    """A milter with two workers and everything as it is by default."""
    with milter_service(milter="workers = 2") as running:
        yield running


class Line:
    """A connection to the milter on which packets are sent one by one."""

    def __init__(self, service: MilterService) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(service.address.removeprefix("unix:"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def negotiate(self, steps: int = p.ALL_STEPS) -> tuple[int, int, bytes]:
        """What the milter takes: actions, steps, and what comes behind them."""
        p.send(self.socket, p.OPTNEG, struct.pack("!LLL", p.VERSION, p.ALL_ACTIONS, steps))
        kind, data = p.receive(self.socket)
        assert kind == p.OPTNEG
        _, actions, steps = struct.unpack_from("!LLL", data)
        return actions, steps, data[12:]

    def send(self, *packets: tuple[bytes, bytes], pause: float = 0.0) -> None:
        """Send packets, with a pause before each."""
        for command, data in packets:
            time.sleep(pause)
            p.send(self.socket, command, data)

    def replies(self) -> list[bytes]:
        """Everything up to the reply that ends a message."""
        kinds: list[bytes] = []
        while not kinds or kinds[-1] in {p.HOLD, p.ADD_HEADER, p.INSERT_HEADER, p.CHANGE_HEADER}:
            kinds.append(p.receive(self.socket)[0])
        return kinds


def packets_of(given: Message) -> list[tuple[bytes, bytes]]:
    """A message as an MTA sends it that need not wait for replies, body included."""
    fields = [(p.HEADER, p.strings(name, value)) for name, value in given.fields]
    return [
        (p.MAIL, p.strings(given.sender)), (p.RCPT, p.strings(*given.recipients)), *fields, (p.EOH, b""), (p.EOM, b""),
    ]  # fmt: skip


def test_the_negotiation_asks_for_what_is_needed_and_no_more(service: MilterService) -> None:
    """The class of pymilter asks for all steps when it is given macros to ask for: every optimisation is lost then."""
    with Line(service) as line:
        actions, steps, symbols = line.negotiate()
    assert actions == p.ADDHDRS | p.CHGHDRS | p.QUARANTINE | p.SETSYMLIST
    declined = p.NOCONNECT | p.NOHELO | p.NODATA
    silent = p.NR_MAIL | p.NR_RCPT | p.NR_HDR | p.NR_EOH
    assert steps & (declined | silent | p.HDR_LEADSPC) == declined | silent | p.HDR_LEADSPC
    assert not steps & (p.NOMAIL | p.NORCPT | p.NOHDRS)
    assert bool(steps & p.NOEOH) != bool(steps & p.NOBODY)  # the verdict waits for the one or for the other
    assert b"i {client_addr} {auth_type} {auth_authen} {mail_addr}\0" in symbols


def test_the_body_is_declined_where_no_validator_looks_at_it() -> None:
    """It is not sent at all then, and the verdict is the answer to the end of the header."""
    config = "".join(
        f"[validators.{each}]\nenabled = false\n"
        for each in ("header-missing-colon", "header-name-invalid", "header-leading-continuation", "header-body-separator-missing")
    )  # fmt: skip
    with milter_service(config, milter="workers = 1") as service, Line(service) as line:
        _, steps, _ = line.negotiate()
        if steps & p.NOBODY:  # as long as no other validator wants it
            assert not steps & p.NR_EOH
            line.send(*packets_of(KINDS[REJECT])[:-1])
            assert line.replies() == [b"y"]


def test_a_message_is_accepted_with_continue(service: MilterService) -> None:
    """ACCEPT may carry over into the next message of a session on some versions of Postfix."""
    with Line(service) as line:
        line.negotiate()
        line.send(*packets_of(KINDS[ACCEPT]))
        assert line.replies() == [p.CONTINUE]
        line.send(*packets_of(KINDS[REJECT]))
        assert line.replies() == [b"y"]


def test_sessions_that_pause_move_from_thread_to_thread(service: MilterService) -> None:
    """A session is given back after a millisecond of silence; whichever thread takes it up, the verdict is its own."""
    kinds = [ACCEPT, REJECT, QUARANTINE, REJECT, ACCEPT, REJECT]
    with Line(service) as a, Line(service) as b, Line(service) as c:
        lines = [a, b, c, a, b, c]
        for each in (a, b, c):
            each.negotiate()
        for half in (0, 3):  # three at a time, packet by packet in turn
            running = [(lines[half + n], packets_of(KINDS[kinds[half + n]])) for n in range(3)]
            for step in range(max(len(packets) for _, packets in running)):
                for line, packets in running:
                    line.send(*packets[step : step + 1], pause=0.003)
            for n, (line, _) in enumerate(running):
                last = line.replies()[-1]
                assert last == (b"y" if kinds[half + n] is REJECT else p.CONTINUE)


@pytest.mark.parametrize(
    ("macros", "client"),
    [
        ([(b"{client_addr}", b"192.0.2.7")], "192.0.2.7"),
        ([(b"_", b"mail.example.org [192.0.2.8]")], "192.0.2.8"),
        ([(b"_", b"[192.0.2.9] (may be forged)")], "192.0.2.9"),
        ([(b"_", b"mail.example.org [IPv6:2001:db8::1]")], "2001:db8::1"),
        ([(b"{client_addr}", b"IPv6:2001:db8::2")], "2001:db8::2"),
        ([(b"{client_addr}", b"\xff\xfe")], ""),
        ([(b"{client_addr}", b"x" * 5000)], "x" * 60),
        ([], ""),
    ],
)
def test_the_client_is_told_in_more_than_one_way(
    service: MilterService, macros: list[tuple[bytes, bytes]], client: str
) -> None:
    """Sendmail sends `_` where Postfix sends {client_addr}; either may be missing, or no text at all."""
    before = len(service.log())
    with Line(service) as line:
        line.negotiate()
        line.send((p.MACRO, p.macros(p.MAIL, macros)), *packets_of(KINDS[REJECT]))
        assert line.replies() == [b"y"]
    eventually(lambda: "reject" in service.log()[before:])
    assert f" client={client}" in service.log()[before:] if client else " client=" not in service.log()[before:]


def test_the_queue_id_may_come_late(service: MilterService) -> None:
    """Postfix has none at MAIL: the one that the log names is that of the end of the header, or of the message."""
    packets = packets_of(KINDS[REJECT])
    for at in (p.EOH, p.EOM):
        with Line(service) as line:
            line.negotiate()
            where = [command for command, _ in packets].index(at)
            queue_id = b"LATE" + at
            line.send(*packets[:where], (p.MACRO, p.macros(at, [(b"i", queue_id)])), *packets[where:])
            assert line.replies() == [b"y"]
        eventually(lambda: f" {queue_id.decode()}: reject: " in service.log(), service.log)  # noqa: B023 - it is over within the round


def test_an_authenticated_client_has_its_evil_mail_held(service: MilterService) -> None:
    """{auth_authen} at MAIL: programs that ignore a refusal get a quarantine."""
    evil = KINDS[REJECT]
    authenticated = Message(evil.fields, authenticated=True)
    assert service.send(authenticated).action is QUARANTINE
    assert service.send(evil).action is REJECT


def test_hostile_text_is_one_line_of_ascii_everywhere() -> None:
    """Per cent signs, other scripts and length: in the reply of a real Postfix, in the log, in a quarantine's reason."""
    with private_folder() as folder:
        (folder / "hostile.py").write_text(HOSTILE)
        config = f'[plugins]\ndirectory = "{folder}"\n'
        with private_site(config) as site:
            last = site.send(message({b"X-Hostile": b" x"})).last
            assert last.code == 550
            (line,) = last.lines
            assert line.startswith(rb"550 5.6.0 X-Hostile: 100% of %s \xe9\u65e5! xxx")
            assert line.endswith(b"(hostile)")
            assert len(line) <= 510
            assert b"%%" not in line
            name = b"X-50%%s%n`'{}" + b"x" * 60
            reply = site.reply(message({name: b" x" * 32_000}))
            assert reply.startswith(f"550 5.6.0 {name[:40].decode()}...: 59,9")
            assert reply.endswith(" bytes, more than 59,000 (header-field-too-long)")
            told = [each for each in site.milter.log().splitlines() if "hostile" in each]
            assert len(told) == 1
            assert told[0].isascii()
            assert told[0].isprintable()
        with milter_service(config + '[policy.actions]\nhostile = "quarantine"\n', milter="workers = 1") as service:
            answer = service.send(KINDS[ACCEPT].field(b"X-Hostile", b" x"))
            assert answer.action is QUARANTINE
            assert answer.reason.isascii()
            assert answer.reason.isprintable()
            assert len(answer.reason) <= 200


def test_python_development_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """It aborts the process with pymilter unless the allocator is the ordinary one; with that, nothing is complained of."""
    monkeypatch.setenv("PYTHONMALLOC", "default")
    program = (sys.executable, "-X", "dev", "-W", "default", "-c", "from forebay.cli.main import main; main()")
    with milter_service(milter="workers = 2", program=program) as service:
        for kind in KINDS:
            assert service.send(KINDS[kind]).action is kind
        service.reload()
        eventually(lambda: "reloaded" in service.log(), service.log)
        service.process.terminate()
        assert service.process.wait(DEADLINE) == 0
        # prometheus_client leaves the files that it counts in open.
        told = [each for each in service.log().splitlines() if "/run/metrics/" not in each]
        assert not [each for each in told if "Warning" in each or "Traceback" in each], service.log()


def test_workers_that_lose_the_race_for_a_connection_can_be_stopped() -> None:
    """On a blocking socket they would sleep in accept() with libmilter's lock held, deaf to every order."""
    with milter_service(milter="workers = 6") as service:
        eventually(lambda: service.metrics()["forebay_workers"] == 6)
        for number in range(60):
            clients = [service.client() for _ in range(1 + number % 3)]
            for each in clients:
                each.close()
        service.process.terminate()
        assert service.process.wait(DEADLINE) == 0
        assert "worker" not in service.log().partition("stopping")[2]


def test_counts_outlive_the_workers_that_counted() -> None:
    """A worker's successor counts on in the same files: nothing is lost at its death, and files do not pile up."""
    with milter_service(milter="workers = 2") as service:
        eventually(lambda: service.metrics()["forebay_workers"] == 2)
        files = set((service.folder / "run/metrics").iterdir())
        for ends in range(1, 4):
            for _ in range(10):
                assert service.send(KINDS[REJECT]).action is REJECT
            for each in processes(service, "worker"):
                os.kill(each.pid, signal.SIGKILL)
            eventually(lambda: service.metrics()['forebay_worker_ends_total{reason="killed"}'] == 2 * ends)  # noqa: B023 - it is over within the round
            eventually(lambda: service.metrics()["forebay_workers"] == 2)
        assert service.metrics()['forebay_messages_total{action="reject"}'] == 30
        assert service.metrics()["forebay_connections"] == 0
        assert set((service.folder / "run/metrics").iterdir()) == files


def test_a_status_that_libmilter_does_not_know_is_never_returned() -> None:
    """Nothing at all is answered then, and the MTA waits for minutes: pymilter#63."""
    failures: list[str] = []
    host: Any = types.SimpleNamespace(
        judge=types.SimpleNamespace(collect_bytes=1, collect_fields=1, needs_body=True, reject_at_rcpt=False),
        may_quarantine=True,
        may_tag=True,
        tag_field="X",
        failed=failures.append,
    )
    replies: list[tuple[str, ...]] = []
    context: Any = types.SimpleNamespace(getpriv=Session, setreply=lambda *reply: replies.append(reply))
    callbacks = Callbacks(host)
    for wrong in (milter.QUARANTINE, None, 99, "x"):
        assert callbacks._guarded(lambda *_: wrong, "end of message")(context) == milter.TEMPFAIL  # type: ignore[arg-type]  # noqa: B023 - called at once
    assert failures == ["end of message"] * 4
    assert {reply[0] for reply in replies} == {"451"}


def test_pymilter_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our folder milter/ is imported in its place then, as an empty package, without an error."""
    monkeypatch.setattr(libmilter, "milter", types.ModuleType("milter"))
    with pytest.raises(UnavailableError, match="pip install pymilter"):
        libmilter.require()


def test_the_good_message_is_good(service: MilterService) -> None:
    """What all of these tests take for granted."""
    assert service.send(Message.parse(GOOD.partition(b"\r\n\r\n")[0])).action is ACCEPT
