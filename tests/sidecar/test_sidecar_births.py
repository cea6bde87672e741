"""Processes that the router forks: taken in at once, not ended by mistake, and judged where they were never seen."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api.process import process
from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site


def base(site: Site) -> Path:
    """The group that this site's sidecar has made."""
    return next(each for each in groups(site.root) if each.is_dir())


def workers(site: Site) -> list[int]:
    """The pids of all workers in leaves, each in one of its own."""
    return sorted(pid for leaf in base(site).glob("worker-*") if len(found := cgroup.pids(leaf)) == 1 for pid in found)


@pytest.mark.parametrize("style", ["new", "old"])
def test_one_that_dies_as_soon_as_it_is_forked_is_known(sites: Callable[..., Site], style: str) -> None:
    """A worker that takes the killer up at once is dead before anybody looks: its death is a strike all the same."""
    site = sites(style, workers=1)
    site.router_options = ["--scan", "0.01"]
    site.put("killer", "crash")
    site.start()
    site.wait(lambda: site.aside_names() == ["killer"])
    assert site.kills_by(["killer"]) == {"killer": 2}
    assert "nobody knows" not in site.log()
    assert re.search(r"exit statuses: waitid, (pidfd, )?connector, stat\n", site.log())


@pytest.mark.parametrize("style", ["new", "open"])
def test_a_router_whose_workers_die_at_once_is_no_worker(sites: Callable[..., Site], style: str) -> None:
    """Its first process is alone whenever the sidecar looks, as workers may be: what it forks is judged all the same."""
    site = sites(style, workers=2)
    site.put("a-killer", "crash")
    site.launch_router()
    time.sleep(2.0)
    site.start(wrap=False)
    site.wait(lambda: site.aside_names() == ["a-killer"])
    site.put("good")
    site.wait(lambda: site.delivered() == ["good"] and len(workers(site)) == 2)
    assert site.router
    assert site.router.pid not in workers(site)


def test_a_daemon_that_detaches_itself_slowly_lives(sites: Callable[..., Site]) -> None:
    """Its first child looks like a worker, and ends: what that has forked is the router, and is not ended with it."""
    site = sites("new")
    site.router_options = ["--daemon", "--detach-time", "0.4"]
    site.start()
    site.wait(lambda: len(workers(site)) == 4)
    site.put("good")
    site.put("killer", "memory")
    site.wait(lambda: site.aside_names() == ["killer"] and site.delivered() == ["good"])
    assert "is started again" not in site.log()


def test_a_router_that_forks_200_workers(sites: Callable[..., Site]) -> None:
    """Each has its leaf, the killer lies aside, and good mail goes on, by a sidecar that was given few open files."""
    given = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = (1024, given[1])  # what a service manager gives
    site = sites("new", 200, router__limits__memory=512 << 20)  # the default: forks come faster than leaves
    site.router_options = ["--idle", "1"]
    resource.setrlimit(resource.RLIMIT_NOFILE, few)
    try:
        site.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)
    began = time.monotonic()
    site.wait(lambda: len(workers(site)) == 200)
    assert resource.prlimit(workers(site)[0], resource.RLIMIT_NOFILE) == few
    print(f"\n200 workers in their leaves after {time.monotonic() - began:.1f} s")
    for number in range(20):
        site.put(f"g{number}")
    site.put("killer", "crash")
    site.wait(lambda: site.aside_names() == ["killer"] and len(set(site.delivered())) == 20)


def test_a_pid_that_is_anothers_now(sites: Callable[..., Site]) -> None:
    """While the sidecar stood still a worker died, and its pid went to another one with another message: no strike."""
    site = sites("open", workers=1)
    site.router_options = ["--scan", "60"]
    site.launch_router()
    site.start(wrap=False)
    site.wait(lambda: len(workers(site)) == 1)
    held = workers(site)[0]
    site.put("slow", "sleep")
    site.wait(lambda: site.holders("slow") == [held])
    assert site.process
    assert site.router
    site.process.send_signal(signal.SIGSTOP)
    innocent = site.office / "innocent"
    innocent.write_text("Message-ID: <innocent@example.org>\n\n")
    os.kill(held, signal.SIGSEGV)
    os.kill(site.router.pid, signal.SIGKILL)
    site.wait(lambda: process(held) is None)
    other = reuse(held, base(site) / "router", innocent)
    site.process.send_signal(signal.SIGCONT)
    site.wait(lambda: "ended: " in site.log())
    site.wait(lambda: other.pid in workers(site))
    time.sleep(1)
    assert "innocent" not in [Path(each.original).name for each in site.entries()]
    assert site.kills_by(["innocent"]) == {"innocent": 0}
    other.kill()
    other.wait()


def reuse(pid: int, group: Path, path: Path) -> subprocess.Popen[bytes]:
    """A process with this very pid, in the router's group, that holds a file."""
    code = f"import os, time; open('{group}/cgroup.procs', 'w').write('0'); file = open('{path}'); time.sleep(60)"
    for _ in range(200):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1), "ascii")
        found = subprocess.Popen([sys.executable, "-c", code])
        if found.pid == pid:
            with suppress(OSError):
                while not any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir()):
                    time.sleep(0.01)
            return found
        found.kill()
        found.wait()
    raise AssertionError("the pid was always taken")
