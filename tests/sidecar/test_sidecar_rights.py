"""With fewer rights: what is lacking is said, and the rest works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api.router import Site as AdapterSite
from forebay.sidecar.openlog import OpenLog
from forebay.sidecar.routers.spool import Spool
from sidecar.sidecar_kit import IS_V2, groups, unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

NOBODY = 65534


def delegate(site: Site, *, inside: bool = True) -> None:
    """Give a user the site's files and a group of its own, as systemd's Delegate= does: with v2 it runs in that."""
    if IS_V2:
        base = unit(site.root) if inside else groups(site.root)[1]
        base.mkdir()
        given = [base, *(base / f"cgroup.{name}" for name in ("procs", "threads", "subtree_control"))]
    else:
        base = groups(site.root)[0]
        base.mkdir()
        given = [base, *base.iterdir()]
    for path in (*given, site.root, *site.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def children(pid: int) -> list[int]:
    """The children of all threads of a process."""
    return [
        int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text("ascii").split()
    ]


@pytest.mark.parametrize("style", ["single", "old"])
def test_an_unprivileged_user_in_a_delegated_subtree(sites: Callable[..., Site], style: str) -> None:
    """It has full function over its own children: limits, claims by name or launch, strikes, set-aside, release."""
    site = sites(style)
    delegate(site)
    site.start(user=NOBODY)
    site.put("good", owner=NOBODY)
    site.put("killer", "memory", owner=NOBODY)
    site.wait(lambda: site.aside_names() == ["killer"] and "good" in site.delivered())
    assert "by cgroup" in site.log()
    assert style == "single" or "no fanotify" in site.log()
    assert site.cli("quarantine", "release", site.entries("aside")[0].id) == 0, site.log()
    site.wait(lambda: len(site.entries("aside")) == 1 and len(site.entries("released")) == 1)


def test_the_guard_comes_first_and_the_router_does_not(sites: Callable[..., Site]) -> None:
    """Who ends workers that burn all processors does not wait behind them; what it starts has the priority of before."""
    site = sites("new", workers=1)
    site.start()
    site.put("killer", "crash")
    site.put("slow", "sleep")
    site.wait(lambda: site.aside_names() == ["killer"] and len(site.holders("slow")) == 1)
    assert site.process
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    others = [*site.holders("slow"), *children(site.process.pid)]
    assert len(others) > 2  # with the clerk
    assert os.getpriority(os.PRIO_PROCESS, site.process.pid) == (ours or -10)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in others} == {ours}


def test_a_group_that_cannot_be_entered_is_not_taken(sites: Callable[..., Site]) -> None:
    """With v2 a user who does not run where it is delegated to may start nothing there: it is told, and memory is polled.

    With v1 the group's owner may.
    """
    site = sites("single")
    delegate(site, inside=False)
    site.start(user=NOBODY)
    site.put("good", owner=NOBODY)
    site.wait(lambda: site.delivered() == ["good"])
    assert ("may enter" in site.log()) == IS_V2
    assert ("by rlimit" in site.log()) == IS_V2


def test_the_log_of_opens_needs_a_right(tmp_path: Path) -> None:
    """Where it cannot be had, that is an OSError and nothing else."""
    pid = os.fork()
    if pid == 0:
        os.setuid(NOBODY)
        try:
            OpenLog(Spool(AdapterSite(spool=(str(tmp_path),))))
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
