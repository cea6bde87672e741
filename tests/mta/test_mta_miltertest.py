"""Two programs called miltertest, of other people, drive the milter: Debian's with a Lua script, and PyPI's."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import miltertest
import pytest

from forebay.quickstart.debs import library_path, missing_libraries, unpack
from forebay.testing import milter_protocol as protocol
from forebay.testing import milter_service
from mta.private_site import CACHE, DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterService

SCRIPT = Path(__file__).with_name("verdicts.lua")
GOOD = {
    "From": " jane@example.org", "To": " joe@example.com", "Date": " Tue, 25 Nov 2025 10:00:00 +0000",
    "Message-ID": " <1@example.org>", "Subject": " hello",
}  # fmt: skip
# Everything; not the leading blank; nothing that we ask for (0 would stand for an MTA of the last century).
STEPS = [protocol.ALL_STEPS, protocol.ALL_STEPS & ~protocol.HDR_LEADSPC, protocol.NOHDRS]


@pytest.fixture(scope="module")
def service() -> Iterator[MilterService]:
    """A milter."""
    with milter_service(milter="workers = 1") as running:
        yield running


def test_debians_miltertest(service: MilterService) -> None:
    """Every verdict over one connection."""
    tree = unpack("miltertest", CACHE)
    program = tree / "usr/bin/miltertest"
    assert missing_libraries(program, tree) == []
    done = subprocess.run(
        (str(program), "-D", f"socket={service.address}", "-s", str(SCRIPT)),
        env={"PATH": os.defpath, "LD_LIBRARY_PATH": library_path(tree)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all as it has to be\n")


@pytest.mark.parametrize("steps", STEPS)
def test_miltertest_from_pypi(service: MilterService, steps: int) -> None:
    """The same with the client that milters in Python are tested with, as MTAs that can do more or less."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(service.address.removeprefix("unix:"))
        conversation = Conversation(sock, steps)
        assert conversation.send(GOOD) == ("c", [])
        assert conversation.send(GOOD | {"Message-ID": ""}) == ("c", ["i"])
        assert conversation.send(GOOD | {"To": " joe@@example.com"}) == ("c", ["q", "i"])
        assert conversation.send(GOOD | {"To": ' "joe@example.com'}) == ("y", [])
        assert conversation.send(GOOD) == ("c", [])


class Conversation:
    """A session as an MTA leads it that offers these steps; `miltertest` leaves to us what is sent, and when."""

    def __init__(self, sock: socket.socket, steps: int) -> None:
        self._connection = miltertest.MilterConnection(sock)
        # It does not know the lists of macros that may come with the answer.
        self._connection.optneg_mta(protocol.ALL_ACTIONS & ~protocol.SETSYMLIST, steps)
        self._steps = steps & self._connection.protocol_flags

    def send(self, fields: dict[str, str]) -> tuple[str, list[str]]:
        """The last reply to a message, and the kinds of what was done to it."""
        reply = self._step("M", protocol.NR_MAIL, args=["<jane@example.org>"])
        reply = reply or self._step("R", protocol.NR_RCPT, args=["<joe@example.com>"])
        for name, value in fields.items():
            if value:
                reply = reply or self._step("L", protocol.NR_HDR, name=name, value=value)
        reply = reply or self._step("N", protocol.NR_EOH)
        if not reply and not self._steps & protocol.NOBODY:
            reply = self._step("B", protocol.NR_BODY, buf="Hello\r\n")
        if reply:
            self._connection._send("A")
            return reply, []
        kinds = [kind for kind, _ in self._connection.send_eom()]
        while kinds[-1] in "qi":  # it takes a quarantine for the end
            kinds.append(self._connection.recv()[0])
        return kinds[-1], kinds[:-1]

    def _step(self, command: str, without_reply: int, **given: Any) -> str:
        """Send a command; the reply where it is a refusal, else nothing."""
        self._connection._send(command, **given)
        if self._steps & without_reply:
            return ""
        kind: str = self._connection.recv()[0]
        return "" if kind in "cs" else kind
