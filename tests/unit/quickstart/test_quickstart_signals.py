"""Ctrl-C and its kin end the show at moments when nothing is half made."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.signals import deaf_to_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """\
import os, signal, sys
from forebay.quickstart.signals import Stop, StoppedError
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
signal.signal(signal.SIGINT, signal.SIG_IGN)
stop = Stop()
stop.listen()
try:
    BODY
except StoppedError as error:
    print("stopped by", error.by.name)
"""


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """SIGHUP as it is at a terminal: who runs these tests under nohup(1) hands down that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def run(body: str) -> str:
    """What a program says that does this and is told to stop, started with signals blocked and ignored."""
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM.replace("BODY", body)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


CHILD = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); print('ready', flush=True); time.sleep(600)"
)
KILL = "os.kill(os.getpid(), signal.{})"


@pytest.mark.parametrize("order", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_what_may_be_interrupted(order: str) -> None:
    """Even where the parent had it blocked or ignored."""
    assert run(f"with stop.may_interrupt(): {KILL.format(order)}; print('on')") == f"stopped by {order}\n"


def test_a_signal_waits_for_what_may_not_be_interrupted() -> None:
    """It is raised at the next moment at which it may be."""
    body = f"{KILL.format('SIGTERM')}; print('on'); stop.check(); print('never')"
    assert run(body) == "on\nstopped by SIGTERM\n"


def test_only_the_first_signal_counts() -> None:
    """Further ones must not disturb the cleaning up."""
    body = (
        "with stop.may_interrupt():\n"
        f"        try: {KILL.format('SIGINT')}\n"
        f"        finally: {KILL.format('SIGTERM')}; print('cleaned up')"
    )
    assert run(body) == "cleaned up\nstopped by SIGINT\n"


def test_nohup_is_obeyed() -> None:
    """Somebody who ignores SIGHUP for us wants us to go on."""
    body = "pass\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nother = Stop(); other.listen()\n"
    program = (
        PROGRAM.partition("try:")[0].replace("stop.listen()", "")
        + body
        + KILL.format("SIGHUP")
        + "\nother.check(); print('on')"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "on\n"


def test_children_hear_signals_that_are_blocked_here() -> None:
    """A mask is inherited; Postfix would not hear its order to stop."""

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        with deaf_to_nothing():
            child = subprocess.Popen((sys.executable, "-c", CHILD), stdout=subprocess.PIPE)
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        child.terminate()
        statuses.append(child.wait(60))
        child.stdout.close()

    statuses: list[int] = []
    thread = threading.Thread(target=start)  # a mask of its own
    thread.start()
    thread.join()
    assert statuses == [-signal.SIGTERM]
