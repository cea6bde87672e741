"""Whoever has a message open without the lock that the router works under only looks at it, as a backup does."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from forebay.api.process import has_lock, waits_for_lock
from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidecar.sidecar_kit import Site

SETTLED = 3.0
"""Seconds after which the sidecar has seen that somebody takes no lock."""


def test_a_looker_is_not_timed(sites: Callable[..., Site]) -> None:
    """Who works on a message is ended when it takes too long, again and again; who has it open beside him is not."""
    site = sites("open", router__limits__message_time=4.0, router__limits__message_cpu=3.0)
    site.start()
    path = site.put("slow", "sleep 600")
    site.wait(lambda: site.holders("slow"))
    with looking_at(site, path) as looker:
        site.wait(lambda: site.kills("waiting") >= 2)
        time.sleep(SETTLED)
        assert looker.poll() is None
    assert site.entries() == []
    assert site.record("slow") == ("", 0, 0)


def test_a_looker_lets_no_killer_go(sites: Callable[..., Site]) -> None:
    """Of what the dead had opened the killer is nobody's who lives, although a backup has it open: it is not excused."""
    site = sites("open")
    site.start()
    slow = site.put("slow", "sleep 600")
    site.wait(lambda: len(idle_workers(site, slow)) == 3)
    idle = idle_workers(site, slow)
    for pid in idle:
        os.kill(pid, signal.SIGSTOP)
    killer = site.put("killer", "crash")
    with looking_at(site, killer) as looker:
        time.sleep(SETTLED)
        for pid in idle:
            os.kill(pid, signal.SIGCONT)
        site.wait(lambda: site.aside_names() == ["killer"])
        site.put("good")
        site.wait(lambda: site.delivered() == ["good"])
        assert looker.poll() is None, site.log()
    assert "suspect" not in site.log()
    assert site.record("slow") == ("", 0, 0)


def test_a_copy_is_taken_aside_under_the_eyes_of_a_looker(sites: Callable[..., Site]) -> None:
    """What is like a killer does not wait in the spool, to kill once more, until a backup has read it."""
    site = sites("open", workers=2)
    site.start()
    slow = site.put("slow", "sleep 600")
    site.wait(lambda: len(idle_workers(site, slow)) == 1)
    (idle,) = idle_workers(site, slow)
    os.kill(idle, signal.SIGSTOP)
    site.put("a-killer", "crash", identity="same")
    copy = site.put("b-copy", "crash", identity="same")
    with looking_at(site, copy) as looker:
        time.sleep(SETTLED)
        os.kill(idle, signal.SIGCONT)
        site.wait(lambda: len(site.entries("aside")) == 2)
        assert looker.poll() is None
    assert site.kills("crash") == 2


def test_a_lock_is_seen_among_hundreds() -> None:
    """The kernel tells of a page of locks at a time, some seventy: that of the last one counts too."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.NamedTemporaryFile()) for _ in range(300)]
        inodes = [os.fstat(file.fileno()).st_ino for file in files]
        for file in files:
            fcntl.lockf(file, fcntl.LOCK_EX)
        assert all(has_lock(os.getpid(), each) for each in (inodes[0], inodes[150], inodes[-1]))
        waiters = []
        for file in (files[0], files[-1]):
            pid = os.fork()
            if pid == 0:
                fcntl.lockf(file, fcntl.LOCK_EX)
                os._exit(0)
            waiters.append(pid)
        until = time.monotonic() + 30
        for pid, inode in zip(waiters, (inodes[0], inodes[-1]), strict=True):
            while not waits_for_lock(pid, inode):
                assert time.monotonic() < until
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextmanager
def looking_at(site: Site, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process beside the workers, in the router's group, that has a message open and does nothing with it."""
    group = next(each for each in groups(site.root) if each.is_dir()) / "router" / "cgroup.procs"
    script = 'echo $$ >"$0" && exec sleep 600 <"$1"'
    looker = subprocess.Popen(["sh", "-c", script, str(group), str(path)])
    try:
        yield looker
    finally:
        looker.kill()
        looker.wait()


def idle_workers(site: Site, taken: Path) -> list[int]:
    """The workers in leaves, as soon as one of them has this message, but that one."""
    base = next(each for each in groups(site.root) if each.is_dir())
    pids = [pid for leaf in base.glob("worker-*") for pid in cgroup.pids(leaf)]
    idle = [pid for pid in pids if not has_lock(pid, taken.stat().st_ino)]
    return idle if len(idle) < len(pids) else []
