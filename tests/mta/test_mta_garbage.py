"""Garbage on the milter's socket: harms nothing, leaks nothing, and the next message is judged as ever."""

from __future__ import annotations

import os
import random
import resource
import socket
import struct
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, REJECT, Action
from forebay.testing import Message, MilterClient, milter_service
from forebay.testing import milter_protocol as p
from forebay.testing.service import FOREBAY
from mta.private_site import DEADLINE, GOOD, REFUSED, eventually, message, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.testing import MilterService

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
MORE_MEMORY = 12 << 20
"""Bytes by which a worker may differ after several rounds of garbage; an allocator keeps some for later."""

FIRST_USE = 8
"""Descriptors that two workers open for good when they serve for the first time: libmilter has a pipe, for one."""

CLEAN = Message.parse(GOOD.partition(b"\r\n\r\n")[0])
EVIL = Message.parse(message(REFUSED[0]).partition(b"\r\n\r\n")[0])


class Tape:
    """Keeps what would have been sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


def packets(*commands: tuple[bytes, bytes]) -> list[bytes]:
    """Commands with their data, as packets."""
    tape = Tape()
    for command, data in commands:
        p.send(tape, command, data)  # type: ignore[arg-type]  # a socket as far as it is needed
    return tape.sent


NEGOTIATION = (p.OPTNEG, struct.pack("!LLL", p.VERSION, p.ALL_ACTIONS, p.ALL_STEPS))
MAIL = (p.MAIL, p.strings(b"<jane@example.org>"))
RCPT = (p.RCPT, p.strings(b"<joe@example.com>"))
HEADER = (p.HEADER, p.strings(b"Subject", b" hello"))
CONVERSATION = packets(
    NEGOTIATION, (p.MACRO, p.macros(p.MAIL, [(b"i", b"X")])), MAIL, RCPT, (p.HEADER, p.strings(b"From", b" a@b.example")),
    HEADER, (p.EOH, b""), (p.BODY, b"Hello\r\n"), (p.EOM, b""), (p.ABORT, b""), (p.QUIT, b""),
)  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[MilterService]:
    """A milter with two workers."""
    with milter_service(milter="workers = 2") as running:
        eventually(lambda: running.metrics()["forebay_workers"] == 2)
        yield running


def misleads_libmilter(data: bytes) -> bool:
    """Whether the macros of a command are an odd number of strings: then libmilter, looking for one, reads beyond them.

    (libmilter 8.17.1, smfi_getsymval: name and value are skipped as two, whatever there is.) See the last test here.
    """
    while len(data) > 4:
        end = 4 + struct.unpack("!L", data[:4])[0]
        if data[4:5] == p.MACRO and data[6:end].count(0) % 2:
            return True
        data = data[end:]
    return False


def say(service: MilterService, data: bytes, wait: bool = False) -> bytes:
    """Send bytes over a connection of their own and hang up; with `wait`, only when nothing more is answered."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(service.address.removeprefix("unix:"))
        answer = b""
        try:
            sock.sendall(data)
            if wait:
                sock.shutdown(socket.SHUT_WR)
                while part := sock.recv(65536):
                    answer += part
        except ConnectionError:
            pass  # it has hung up on us, as it should
        return answer


def descriptors(service: MilterService) -> int:
    """How many all workers have open."""
    return sum(each.descriptors for each in processes(service, "worker"))


def assert_unharmed(service: MilterService, attack: Callable[[], object]) -> None:
    """No worker dies of an attack, none keeps a descriptor, and messages are judged as ever."""
    for _ in range(4):
        assert service.send(CLEAN).action is ACCEPT
    workers, before = processes(service, "worker"), descriptors(service)
    attack()
    assert service.send(CLEAN).action is ACCEPT
    assert service.send(EVIL).action is REJECT
    assert processes(service, "worker") == workers
    eventually(lambda: descriptors(service) <= before + FIRST_USE, lambda: (before, descriptors(service)))
    eventually(lambda: service.metrics()["forebay_connections"] == 0)


def random_bytes(service: MilterService) -> None:
    """Noise of all sizes, and noise after a good beginning."""
    dice = random.Random(1)
    for number in range(1000 if LONG else 200):
        beginning = b"".join(CONVERSATION[: number % 7])
        noise = beginning + dice.randbytes(dice.choice((1, 4, 5, 17, 400, 5000)))
        if not misleads_libmilter(noise):
            say(service, noise, wait=number % 2 == 0)


def changed_bytes(service: MilterService) -> None:
    """A conversation in which a few bytes are others."""
    dice = random.Random(2)
    whole = b"".join(CONVERSATION)
    for number in range(1500 if LONG else 300):
        changed = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        if not misleads_libmilter(bytes(changed)):
            say(service, bytes(changed), wait=number % 3 == 0)


def half_packets(service: MilterService) -> None:
    """A conversation that breaks off after each of its bytes."""
    whole = b"".join(CONVERSATION)
    for end in range(0, len(whole), 1 if LONG else 3):
        say(service, whole[:end])


def http(service: MilterService) -> None:
    """Somebody looks whether a web server is here."""
    for request in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"EHLO x\r\n",
        b"\n",
    ):
        assert say(service, request, wait=True) == b""


def lengths(service: MilterService) -> None:
    """Packets that claim to be of a size that they are not."""
    for length in (0, 1, 2**16, 2**20 + 2, 2**31 - 1, 2**31, 2**32 - 1):
        for command in (b"O", b"L", b"B", b"D", b"", b"Z"):
            say(service, struct.pack("!L", length) + command + b"x" * 20)
            say(service, CONVERSATION[0] + struct.pack("!L", length) + command + b"x" * 20, wait=True)


ORDERS = {
    "a field before everything": [HEADER],
    "a field before the sender": [NEGOTIATION, HEADER, HEADER],
    "a body before everything": [(p.BODY, b"x" * 1000)],
    "an end before everything": [NEGOTIATION, (p.EOM, b""), (p.EOM, b"")],
    "an end of the header alone": [NEGOTIATION, (p.EOH, b""), MAIL],
    "a recipient before the sender": [NEGOTIATION, RCPT, MAIL],
    "a sender twice": [NEGOTIATION, MAIL, MAIL, RCPT, RCPT],
    "a negotiation twice": [NEGOTIATION, NEGOTIATION, MAIL],
    "a negotiation inside a message": [NEGOTIATION, MAIL, RCPT, HEADER, NEGOTIATION, HEADER],
    "an end after an abort": [NEGOTIATION, MAIL, RCPT, HEADER, (p.ABORT, b""), (p.EOM, b"")],
    "a field after the end": [NEGOTIATION, MAIL, RCPT, HEADER, (p.EOH, b""), (p.EOM, b""), HEADER],
    "commands that there are none of": [NEGOTIATION, (b"Z", b"x"), (b"\x00", b""), (b"\xff", b"x" * 100)],
    "another connection on the same": [NEGOTIATION, MAIL, (p.NEXT, b""), MAIL, RCPT, (p.EOM, b""), (p.NEXT, b"")],
    "strings without ends": [NEGOTIATION, (p.MAIL, b"<x>"), (p.RCPT, b""), (p.HEADER, b"Subject"), (p.EOH, b"x")],
    "no macros": [NEGOTIATION, (p.MACRO, b""), (p.MACRO, b"M"), (p.MACRO, b"Mi"), MAIL],
    "a version of the future": [(p.OPTNEG, struct.pack("!LLL", 99, 0xFFFFFFFF, 0xFFFFFFFF)), MAIL],
    "a version of the past": [(p.OPTNEG, struct.pack("!LLL", 1, 0, 0)), MAIL],
    "a short negotiation": [(p.OPTNEG, b"\0\0\0\6")],
}


def orders(service: MilterService) -> None:
    """Commands in an order that no MTA sends."""
    for commands in ORDERS.values():
        say(service, b"".join(packets(*commands)))
        say(service, b"".join(packets(*commands)), wait=True)


@pytest.mark.parametrize(
    "attack", [random_bytes, changed_bytes, half_packets, http, lengths, orders], ids=lambda each: each.__name__
)
def test_garbage_harms_nothing(service: MilterService, attack: Callable[[MilterService], None]) -> None:
    """Whatever comes over the socket, the workers live, no descriptor is kept, and the next verdicts are right."""
    assert_unharmed(service, lambda: attack(service))


def test_garbage_leaks_no_memory(service: MilterService) -> None:
    """After the first round of everything, further rounds cost the workers nothing that stays."""
    attacks = (random_bytes, changed_bytes, half_packets, http, lengths, orders)
    sizes = []
    for _ in range(4):
        for attack in attacks:
            attack(service)
        eventually(lambda: service.metrics()["forebay_connections"] == 0)
        sizes.append(max(each.memory for each in processes(service, "worker")))
    assert sizes[-1] < sizes[0] + MORE_MEMORY, sizes


def test_a_header_of_90_kb_is_judged(service: MilterService) -> None:
    """Left to itself, libmilter would close the connection above 65,535 bytes a command, and leave the verdict to the default action."""
    for size in (60_000, 66_000, 90_000, 900_000):
        answer = service.send(CLEAN.field(b"X-Long", b" " + b"x" * size))
        assert answer.action is REJECT
        assert "(header-" in answer.reply


def test_a_command_above_all_limits_ends_its_session_only(service: MilterService) -> None:
    """A megabyte and more for one field is no MTA; nothing is accepted, and nobody else notices."""
    assert_unharmed(service, lambda: service.send(CLEAN.field(b"X-Long", b" " + b"x" * 1_100_000)))
    assert service.send(CLEAN.field(b"X-Long", b" " + b"x" * 1_100_000)).is_cut


@pytest.mark.parametrize("name", [b"\xff\xfe", b"X-\xe9", b"X-\xc3", b"X-\x80" * 50, b"", b" ", b"\x01"])
def test_a_name_that_is_no_text_is_never_accepted_unchecked(service: MilterService, name: bytes) -> None:
    """A field's name is decoded as UTF-8 in C, before our code runs: no MTA sends one that fails.

    libmilter then gives the message up without a word, and the MTA's default action applies after its timeout.
    """
    for given in (CLEAN, EVIL):
        with service.client(timeout=0.5) as client, suppress(TimeoutError):
            action = client.send(given.field(name, b" x")).action
            assert action in {REJECT, Action.TEMPFAIL} or (given is CLEAN and _is_utf8(name))
    assert service.send(CLEAN).action is ACCEPT
    assert service.send(EVIL).action is REJECT


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_two_thousand_idle_connections(service: MilterService) -> None:
    """They cost a descriptor each and nothing else: others are served meanwhile, and all is given back at the end."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def hold() -> None:
        with ExitStack() as idle:
            for number in range(2000):
                sock = idle.enter_context(socket.socket(socket.AF_UNIX))
                sock.connect(service.address.removeprefix("unix:"))
                if number % 4 == 0:  # some have begun a packet, and say no more
                    sock.sendall(CONVERSATION[0][: number % 17])
            eventually(lambda: descriptors(service) >= 2000)
            assert service.send(CLEAN).action is ACCEPT
            assert service.send(EVIL).action is REJECT

    assert_unharmed(service, hold)


def test_more_sessions_than_allowed_are_told_to_come_again() -> None:
    """Above max_connections a session gets a temporary error for its messages, and none once others have ended."""
    with milter_service(milter="workers = 2\nmax_connections = 20") as service:
        clients = [service.client() for _ in range(20)]
        answer = service.send(CLEAN)
        assert answer.action.word == "tempfail"
        assert answer.reply == "451 4.3.2 forebay serves too many sessions; try again later"
        assert clients[7].send(EVIL).action is REJECT
        for each in clients:
            each.close()
        eventually(lambda: service.send(CLEAN).action is ACCEPT)
        assert service.metrics()["forebay_connections_refused_total"] >= 1


def test_more_connections_than_descriptors_harm_nobody() -> None:
    """A worker that runs out of them keeps its sessions, drains when it is told to, and serves when there are some again."""
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)); os.execv(sys.argv[1], sys.argv[1:])"
    with milter_service(milter="workers = 1", program=(sys.executable, "-c", limited, *FOREBAY)) as service:
        eventually(lambda: service.metrics()["forebay_workers"] == 1)
        (worker,) = processes(service, "worker")
        with ExitStack() as idle, service.client() as early:
            for _ in range(200):
                sock = idle.enter_context(socket.socket(socket.AF_UNIX))
                sock.connect(service.address.removeprefix("unix:"))
            eventually(lambda: worker.descriptors == 80)
            until = time.monotonic() + 3  # it looks at its memory meanwhile
            while time.monotonic() < until:
                assert early.send(EVIL).action is REJECT
            assert processes(service, "worker") == [worker]
            service.reload()
            eventually(lambda: "reloaded" in service.log(), service.log)
            assert early.send(EVIL).action is REJECT
        assert service.send(EVIL).action is REJECT
        eventually(lambda: worker not in processes(service, "worker"))
        assert "mistake" not in service.log()
        assert service.metrics()['forebay_worker_ends_total{reason="crashed"}'] == 0


def test_an_mta_that_cannot_hold_gets_a_temporary_error(service: MilterService) -> None:
    """A quarantine that the MTA does not offer must not become an acceptance."""
    held = CLEAN.without(b"To").field(b"To", b" joe@@example.com")
    with MilterClient(service.address, actions=p.ALL_ACTIONS & ~p.QUARANTINE) as client:
        assert client.send(held).reply.startswith("451 4.3.5 the MTA offers forebay no quarantine")
        assert client.send(CLEAN).action is ACCEPT


def test_macros_without_values_cost_a_worker_at_most(service: MilterService) -> None:
    """A worker may die of it, as libmilter reads beyond them; no MTA sends any. A new one is there at once, with right verdicts."""
    said = b"".join(packets(NEGOTIATION, (p.MACRO, b"Mi\0X\0j\0"), MAIL, RCPT, HEADER, (p.EOH, b""), (p.EOM, b"")))
    assert misleads_libmilter(said)
    for _ in range(30):
        say(service, said, wait=True)
        assert service.send(EVIL).action is REJECT
    eventually(lambda: service.metrics()["forebay_workers"] == 2)
    assert service.send(CLEAN).action is ACCEPT
