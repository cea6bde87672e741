"""Restarts, deaths that are nobody's fault, broken routers, full disks: nobody innocent is moved, nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from forebay.sidecar.journal import NAME
from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import IS_V2, groups, unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidecar.sidecar_kit import Site


def base(site: Site) -> Path:
    """The group that this site's sidecar has made."""
    return next(each for each in groups(site.root) if each.is_dir())


def workers(site: Site, group: Path | None = None) -> list[int]:
    """The pids of all workers in leaves, of the group that the sidecar has made or of this one."""
    return sorted(pid for leaf in (group or base(site)).glob("worker-*") for pid in cgroup.pids(leaf))


def workers_of(site: Site, group: Path | None = None) -> list[int]:
    """The same, as soon as all are there, and not the router's first process in place of one."""
    first = site.router.pid if site.router else 0
    site.wait(lambda: len(workers(site, group)) == site.workers and first not in workers(site, group))
    return workers(site, group)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_ends_no_worker(sites: Callable[..., Site], number: signal.Signals) -> None:
    """A sidecar beside the router's own unit is killed under load and started again: it adopts every live worker."""
    site = sites("new")
    site.launch_router()
    site.start(wrap=False)
    before = workers_of(site)
    for batch in range(3):
        for message in range(20):
            site.put(f"m{batch}-{message}")
        site.stop(number)
        site.start(wrap=False)
    site.wait(lambda: len(set(site.delivered())) == 60)
    assert workers(site) == before
    assert len(site.delivered()) == 60
    site.put("killer", "memory")
    site.wait(lambda: site.aside_names() == ["killer"])


def test_router_and_sidecar_are_started_at_once(sites: Callable[..., Site]) -> None:
    """A router that is still in its unit's own group when the sidecar begins, its launcher being late, is guarded too."""
    site = sites("new")
    group = unit(site.root) if IS_V2 else groups(site.root)[0]
    group.mkdir()
    site.settings["router.cgroup"] = "/" + str(group.relative_to(cgroup.ROOT if IS_V2 else cgroup.ROOT / "memory"))
    site.launch_router(group)
    site.wait(lambda: len(cgroup.pids(group)) > site.workers)
    site.start(wrap=False)
    assert "guarding zmailer by cgroup" in site.log()
    assert len(workers_of(site, group)) == site.workers
    assert cgroup.pids(group) == []
    site.put("killer", "memory")
    site.wait(lambda: site.aside_names() == ["killer"])


def test_a_clerk_whose_sidecar_died_at_once_ends(sites: Callable[..., Site]) -> None:
    """Its parent is another process before it has begun: it knows all the same that it is nobody's."""
    config = sites("new").write_config()
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = [sys.executable, "-m", "forebay.sidecar.clerk", "--config", str(config), "--beside", str(gone.pid)]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0


def test_a_death_while_nobody_looked_is_a_loss(sites: Callable[..., Site]) -> None:
    """The claim of a worker that died while the sidecar was away is lost; three losses make a strike, not one."""
    site = sites("new")
    site.launch_router()
    site.start(wrap=False)
    workers_of(site)
    site.put("slow", "sleep 600")
    site.wait(lambda: site.holders("slow"))
    holder = site.holders("slow")[0]
    site.stop(signal.SIGKILL)
    os.kill(holder, signal.SIGKILL)
    site.start(wrap=False)
    assert site.record("slow")[1:] == (0, 1)
    assert site.entries() == []


def test_a_kill_by_hand_is_no_strike(sites: Callable[..., Site]) -> None:
    """SIGKILL and SIGTERM of somebody else are not the message's fault."""
    site = sites("new")
    site.start()
    workers_of(site)
    site.put("slow", "sleep 600")
    for count in range(1, 4):
        site.wait(lambda: site.holders("slow"))
        os.kill(site.holders("slow")[0], signal.SIGKILL)
        site.wait(lambda count=count: site.kills("not-ours") + site.kills("lost") == count)
    lost = site.kills("lost")  # where nobody tells how a process has ended, and its parent was faster
    assert site.entries() == []
    assert site.record("slow")[1:] == (lost // 3, lost)
    assert not lost or "connector" not in site.log().partition("exit statuses: ")[2].partition("\n")[0]


def test_the_limit_above_is_not_the_workers_fault(sites: Callable[..., Site]) -> None:
    """Four workers below their own limits and together above the total: whoever is killed is collateral."""
    site = sites("new", router__limits__memory=128 << 20, router__limits__total_memory=160 << 20,
                 router__limits__memory_brake=127 << 20)  # fmt: skip
    site.start()
    for number in range(3):
        site.put(f"m{number}", "hold 80")
    site.wait(lambda: site.kills("collateral") >= 1)
    assert site.entries() == []
    assert site.kills("memory") == 0


def test_a_helper_killed_does_not_kill_its_worker(sites: Callable[..., Site]) -> None:
    """A child of a worker dies of too much memory while the worker goes on and delivers: no strike."""
    site = sites("new", router__limits__memory_brake=95 << 20)
    site.start()
    site.put("parent", "helper 4096")
    site.put("good")
    site.wait(lambda: site.entries() or site.kills("memory") or len(site.delivered()) == 2)
    assert "good" in site.delivered()


def test_a_worker_with_two_messages_makes_two_suspects(sites: Callable[..., Site]) -> None:
    """Both are withheld, and let back one at a time; the innocent one is routed, the other one is convicted."""
    site = sites("open", workers=1)
    site.router_options = ["--pairs"]
    site.start()
    workers_of(site)
    site.put("b-good")
    site.put("a-killer", "crash")
    site.wait(lambda: site.aside_names() == ["a-killer"] and "b-good" in site.delivered())
    assert site.log().count("withheld (suspect)") >= 2


def test_copies_wait_for_the_retry(sites: Callable[..., Site]) -> None:
    """While a struck message is tried again its copies are out of sight; convicted, they lie aside with it."""
    site = sites("new", workers=1)
    site.start()
    workers_of(site)
    for number in range(10):
        site.put(f"k{number}", "memory", identity="same")
    site.wait(lambda: len(site.entries("aside")) == 10)
    assert site.kills("memory") <= 3
    assert {each.cause for each in site.entries("aside")} == {"memory", "copy"}


def test_a_broken_router_blows_the_fuse(sites: Callable[..., Site]) -> None:
    """A router that crashes on everything: no more than the fuse allows is moved, and one alert is given."""
    site = sites("new", sidecar__set_aside_max=3)
    site.router_options = ["--crash-always", "--scan", "0.05"]
    site.start()
    for number in range(40):
        site.put(f"m{number}")
    site.wait(lambda: "the fuse has blown" in site.log())
    moved = len(site.entries())
    assert moved <= 3
    kills = site.kills("crash")
    site.wait(lambda: site.kills("crash") > kills + 4)
    assert len(site.entries()) == moved
    assert site.log().count("the fuse has blown") == 1
    site.wait(lambda: len(site.waiting()) + len(site.entries("aside")) == 40)  # nothing is withheld any more


def test_observing_moves_nothing(sites: Callable[..., Site]) -> None:
    """It says what would be a strike, and leaves every file where it is."""
    site = sites("new", sidecar__mode="observe")
    site.start()
    site.put("killer", "crash")
    site.wait(lambda: site.log().count("would be a strike") >= 3)
    assert site.entries() == []
    assert len(site.waiting()) == 1


def test_a_locked_journal_stops_nobody(sites: Callable[..., Site]) -> None:
    """While somebody else locks the journal mail goes on, loudly; the strikes are stored when it is free again."""
    site = sites("new")
    site.start()
    other = sqlite3.connect(site.root / "state-sidecar" / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    site.put("killer", "crash")
    site.wait(lambda: "could not be stored" in site.log())
    site.put("good")
    site.wait(lambda: "good" in site.delivered())
    other.execute("ROLLBACK")
    other.close()
    site.wait(lambda: site.aside_names() == ["killer"])


def test_a_journal_that_is_gone_is_made_anew(sites: Callable[..., Site]) -> None:
    """Somebody removes the file: mail goes on, and killers are still set aside."""
    site = sites("new")
    site.start()
    for each in (site.root / "state-sidecar").glob(f"{NAME}*"):
        each.unlink()
    site.put("killer", "crash")
    site.put("good")
    site.wait(lambda: site.aside_names() == ["killer"] and "good" in site.delivered())


def test_a_spool_that_cannot_be_written_loses_nothing(sites: Callable[..., Site]) -> None:
    """Where nothing can be set aside the killer stays, loudly, and is moved as soon as that is possible."""
    site = sites("new")
    site.aside.write_text("in the way of the directory")
    site.start()
    site.put("killer", "crash")
    site.put("good")
    site.wait(lambda: "cannot set aside" in site.log() and "good" in site.delivered() and len(site.waiting()) == 1)
    site.aside.unlink()
    site.wait(lambda: site.aside_names() == ["killer"])


def test_all_processes_killed_at_once_strike_nobody(sites: Callable[..., Site]) -> None:
    """As at a reboot: router, workers and sidecar die at once; afterwards everything is routed."""
    site = sites("new")
    site.start()
    held = workers_of(site)
    site.put("slow", "dns")
    site.outage.touch()
    for number in range(4):
        site.put(f"m{number}", "dns")
    site.wait(lambda: len(site.waiting()) <= 5)
    assert site.process
    for pid in [site.process.pid, *held, *cgroup.pids(base(site) / "router")]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    site.process.wait()
    site.outage.unlink()
    site.start()
    site.wait(lambda: len(set(site.delivered())) == 5)
    assert site.entries() == []


def test_large_files_are_no_strike(sites: Callable[..., Site]) -> None:
    """Reading a file larger than the limit, and appending to one, fill the page cache: nobody is suspected."""
    site = sites("new", router__limits__file_size=0)
    large = site.root / "large"
    with large.open("wb") as file:
        for _ in range(200):
            file.write(b"x" * (1 << 20))
    site.start()
    site.put("reads", f"stream {large}")
    site.put("appends", f"append {large}")
    site.wait(lambda: len(site.delivered()) == 2)
    assert site.entries() == []
    assert site.kills("memory") == 0
