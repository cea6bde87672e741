"""Of several messages that a dead worker had in its hands: which one is to blame."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from forebay.api.process import state
from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site


def test_who_died_of_a_killer_that_lies_aside_blames_nobody_else(sites: Callable[..., Site]) -> None:
    """All who looked at a message that another one has, and then died of the killer, died of the killer."""
    site = sites("new")
    site.start()
    site.put("slow", "sleep 600")  # one has it, and the others look at it and leave it again, fifty times a second
    site.wait(lambda: site.holders("slow") and len(workers(site)) == 4)
    others = set(workers(site)) - set(site.holders("slow"))
    assert site.process
    site.process.send_signal(signal.SIGSTOP)  # so that the deaths are dealt with when all is over
    site.put("killer", "crash")
    site.wait(lambda: all(map(is_over, others)))
    site.process.send_signal(signal.SIGCONT)
    site.wait(lambda: site.aside_names() == ["killer"] and site.kills("crash") >= len(others))
    site.put("good")
    site.wait(lambda: site.delivered() == ["good"])
    assert site.record("slow") == ("", 0, 0)
    assert [each.original for each in site.entries()] == [each.original for each in site.entries("aside")]
    assert "nobody knows" not in site.log()


def workers(site: Site) -> list[int]:
    """The pids of all workers in leaves."""
    base = next(each for each in groups(site.root) if each.is_dir())
    return [pid for leaf in base.glob("worker-*") for pid in cgroup.pids(leaf)]


def is_over(pid: int) -> bool:
    """Whether a process has died, buried or not."""
    found = state(pid)
    return not found or found.letter in "ZX"
