"""milter/quickstart's show on a real Postfix: once, until a signal, two at a time; and nothing is left afterwards."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from forebay.quickstart.debs import unpack
from forebay.quickstart.raw_smtp import RawClient
from forebay.quickstart.samples import SAMPLES
from mta.private_site import CACHE, DEADLINE, GOOD, RECIPIENT, SENDER

if TYPE_CHECKING:
    from collections.abc import Iterator

# Runs the show as a child, adopts whatever it leaves behind, and says whether one of that lives. Its first arguments
# say after how many seconds which signal is sent; it blocks and ignores signals as a careless parent may.
PARENT = """\
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
after, number = float(sys.argv[1]), int(sys.argv[2])
show = subprocess.Popen([sys.executable, "-m", "forebay.quickstart", *sys.argv[3:]], stdin=subprocess.DEVNULL)
if number:
    time.sleep(after)
    show.send_signal(number)
status = show.wait()
left, until = 1, time.monotonic() + 30
while left and time.monotonic() < until:
    try:
        if os.waitpid(-1, os.WNOHANG) == (0, 0):
            time.sleep(0.02)
    except ChildProcessError:
        left = 0
print(f"status {status}, left {left}")
"""


def command(*arguments: str) -> tuple[str, ...]:
    """The show's command."""
    return (sys.executable, "-m", "forebay.quickstart", "--cache", str(CACHE), *arguments)


def show(after: float, order: int, *arguments: str) -> str:
    """What the show printed that was sent a signal, and how it ended."""
    done = subprocess.run(
        (sys.executable, "-c", PARENT, str(after), str(order), "--cache", str(CACHE), *arguments),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=4 * DEADLINE,
        check=False,
    )  # fmt: skip
    return done.stdout


def folder_of(printed: str) -> Path:
    """The folder in which everything was."""
    (found,) = re.findall(r"configuration +(/tmp/\S+)/forebay.toml", printed)
    return Path(found)


class Running:
    """A show that has come to its end and stays."""

    def __init__(self) -> None:
        unpack("postfix", CACHE)
        self.process = subprocess.Popen(
            command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout
        self.printed = ""
        while "until Ctrl-C" not in self.printed:
            line = self.process.stdout.readline()
            assert line, self.printed
            self.printed += line
        self.folder = folder_of(self.printed)
        self.port = int(re.findall(r"send more to +127.0.0.1:(\d+)", self.printed)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGTERM)

    def stop(self, order: signal.Signals) -> int:
        """Send it a signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(order)
            rest, _ = self.process.communicate(timeout=DEADLINE)
            self.printed += rest
        return self.process.returncode


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """SIGHUP as it is at a terminal: who runs these tests under nohup(1) hands down that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def once() -> str:
    """What one show printed."""
    return show(0, 0, "--once")


def test_every_answer_is_as_expected(once: str) -> None:
    """Status 0, every sample is shown, and so is what lies in the hold queue; no process is left, and no folder."""
    assert once.splitlines()[-1] == "status 0, left 0"
    for sample in SAMPLES:
        assert sample.title in once
    assert "Every answer was as expected." in once
    assert "NOT AS EXPECTED" not in once
    assert "quarantine: address-multiple-at: To: second @ in an address at byte 14" in once
    assert not folder_of(once).exists()


def test_it_is_readable_where_it_is_printed(once: str) -> None:
    """No escape sequence outside a terminal; no line above 80 columns but commands to be copied."""
    assert "\x1b" not in once
    for line in once.splitlines():
        assert len(line) <= 80 or line.startswith(("  status", "  try a message", "  quarantine"))


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stays_until_a_signal_and_then_all_is_gone(order: signal.Signals) -> None:
    """Mail is taken, metrics are served, the commands that it names work; afterwards there is nothing of it."""
    with Running() as running:
        with RawClient(running.port) as client:
            assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
        (status,) = re.findall(r"status +(.+)", running.printed)
        said = subprocess.run(status.split(), capture_output=True, text=True, check=False)
        assert (said.returncode, said.stdout.startswith("milter         serving for ")) == (0, True)
        assert running.stop(order) == 0
        assert running.printed.splitlines()[-1] == f"Ended; {running.folder} is gone."
        assert not running.folder.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port))


def test_two_at_once_do_not_get_in_each_others_way() -> None:
    """Ports and folders are each one's own."""
    with Running() as one, Running() as other:
        assert one.folder != other.folder
        assert one.port != other.port
        for each in (one, other):
            with RawClient(each.port) as client:
                assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
        assert one.stop(signal.SIGINT) == 0
        with RawClient(other.port) as client:
            assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
        assert not one.folder.exists()


@pytest.mark.parametrize("after", [0.0, 0.2, 0.5, 0.8, 1.2])
def test_a_signal_at_any_time_leaves_nothing_behind(after: float) -> None:
    """While it starts, shows, or ends: no process is left, and the status tells of the signal, or of the show's end."""
    last = show(after, signal.SIGTERM, "--once").splitlines()[-1]
    assert last in {f"status {status}, left 0" for status in (0, 128 + signal.SIGTERM, -signal.SIGTERM)}


def test_a_postfix_that_does_not_start_is_told(tmp_path: Path) -> None:
    """What it said, and status 69; nothing is left."""
    tree = tmp_path / "cache/postfix/usr/lib/postfix/sbin"
    tree.mkdir(parents=True)
    (tree / "master").write_text("#!/bin/sh\necho 'fatal: no such luck' >&2\nexit 1\n")
    (tree / "master").chmod(0o755)
    done = subprocess.run(
        (sys.executable, "-m", "forebay.quickstart", "--cache", str(tmp_path / "cache"), "--once"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == os.EX_UNAVAILABLE
    assert "the private Postfix did not start:" in done.stderr
    assert "no such luck" in done.stderr
