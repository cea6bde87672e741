"""The process connector: forks and exits of the children of those that are asked about, and of nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from forebay.sidecar.connector import Connector, Exit, Fork


def child(status: int) -> int:
    """A child that has ended; its pid."""
    pid = os.fork()
    if pid == 0:
        os._exit(status)
    os.waitpid(pid, 0)
    return pid


def test_forks_and_exits_are_told_in_their_order() -> None:
    """A fork is told before the exit, which has the status that waitpid(2) gives."""
    with closing(Connector()) as connector:
        pid = child(7)
        assert connector.read() == ([Fork(os.getpid(), pid), Exit(pid, 7 << 8)], True)
        killed = subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], check=False)
        assert killed.returncode == -signal.SIGKILL
        forked, ended = connector.read()[0]
        assert isinstance(forked, Fork)
        assert ended == Exit(forked.child, signal.SIGKILL)


def test_what_others_do_is_not_told() -> None:
    """The children of a process that was not named wake nobody, and neither do threads; orphans of pid 1 may be ours."""
    code = (
        "import os, threading; print(*[os.waitpid(p, 0)[0] if (p := os.fork()) else os._exit(0) for _ in range(5)]); "
        "t = threading.Thread(target=int); t.start(); t.join(); print(t.native_id)"
    )
    with closing(Connector()) as connector:
        done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        others = {int(each) for each in done.communicate()[0].split()}
        told = connector.read()[0]
    ours = [each for each in told if isinstance(each, Fork) or each.pid in {done.pid, *others}]
    assert len(others) == 6
    assert ours == [Fork(os.getpid(), done.pid), Exit(done.pid, 0)]


@pytest.mark.parametrize("more", [10, 100])
def test_many_parents_are_followed(more: int) -> None:
    """However many there are: with too many for a filter all are told."""
    with closing(Connector()) as connector:
        connector.follow([*range(1 << 21, (1 << 21) + more), os.getpid()])
        pid = child(0)
        told = [each for each in connector.read()[0] if each in {Fork(os.getpid(), pid), Exit(pid, 0)}]
        assert len(told) == 2
        connector.follow(range(1 << 21, (1 << 21) + more))
        pid = child(0)
        assert (Fork(os.getpid(), pid) in connector.read()[0]) == (more > 60)


def test_a_flood_is_told() -> None:
    """Where more happened than the kernel keeps, that is said."""
    with closing(Connector()) as connector:
        connector._socket.setsockopt(1, 33, 4096)
        for _ in range(40):
            child(0)
        assert not connector.read()[1]
