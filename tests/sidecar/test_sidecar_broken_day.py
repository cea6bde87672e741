"""A site's broken day: it is the router, or what it depends on, and no message. Nobody is punished, and mail flows again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from forebay.quickstart.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
MESSAGES = 400 if LONG else 24
MOST = 3
"""So many may be set aside before the fuse blows."""
OUTAGE = 600.0 if LONG else 12.0
MESSAGE_TIME = 60.0 if LONG else 5.0


def test_a_router_that_crashes_on_everything(sites: Callable[..., Site]) -> None:
    """Until it is repaired no more than the fuse allows is moved, and one alert is given; then all other mail is routed."""
    port = free_port()
    site = sites("new", sidecar__set_aside_max=MOST, sidecar__metrics=f"127.0.0.1:{port}")
    site.router_options = ["--scan", "0.1"]
    site.outage.touch()
    site.start()
    names = [f"m{number}" for number in range(MESSAGES)]
    for name in names:
        site.put(name, "frail")
    site.wait(lambda: "the fuse has blown" in site.log())
    crashes = site.kills("crash")
    site.wait(lambda: site.kills("crash") > crashes + 12)
    assert "\nforebay_router_fuse_blown 1.0" in site.metrics(port)
    check_recovery(site, names, site.outage.unlink)


def test_a_memory_limit_that_is_too_low(sites: Callable[..., Site]) -> None:
    """Every message needs more than the administrator has given: the same, and with a better limit mail flows."""
    site = sites("new", sidecar__set_aside_max=MOST, router__limits__memory=32 << 20)
    site.router_options = ["--scan", "0.1"]
    site.launch_router()
    site.start(wrap=False)
    names = [f"m{number}" for number in range(MESSAGES)]
    for name in names:
        site.put(name, "need 64")
    site.wait(lambda: "the fuse has blown" in site.log())
    deaths = site.kills("memory")
    site.wait(lambda: site.kills("memory") > deaths + 12)

    def give_more() -> None:
        site.stop()
        site.settings["router.limits.memory"] = 300 << 20
        site.start(wrap=False)

    check_recovery(site, names, give_more)


def test_an_outage_of_what_messages_wait_for(sites: Callable[..., Site]) -> None:
    """No DNS: workers wait and are ended again and again, and nothing at all is moved, or held against anybody."""
    site = sites("new", router__limits__message_time=MESSAGE_TIME, router__limits__message_cpu=3.0)
    site.router_options = ["--scan", "0.1"]
    site.outage.touch()
    site.start()
    names = [f"m{number}" for number in range(MESSAGES // 4)]
    for name in names:
        site.put(name, "dns")
    began = time.monotonic()
    site.wait(lambda: site.kills("waiting") >= 2 * site.workers and time.monotonic() - began > OUTAGE, OUTAGE + 300)
    assert site.delivered() == []
    assert len(site.waiting()) == len(names)
    ended = site.kills("waiting")
    site.outage.unlink()
    began = time.monotonic()
    site.wait(lambda: len(set(site.delivered())) == len(names))
    print(f"\n{len(names)} messages, {OUTAGE:.0f} s without DNS: {ended} workers ended that waited; "
          f"all routed {time.monotonic() - began:.1f} s after it")  # fmt: skip
    assert sorted(site.delivered()) == sorted(names)
    assert site.entries() == []
    assert "withheld" not in site.log()
    assert "strike" not in site.log()
    assert "the fuse has blown" not in site.log()


def check_recovery(site: Site, names: list[str], repair: Callable[[], None]) -> None:
    """What was moved is not more than it may be; once it is repaired, all else is delivered, and nobody had to ask."""
    moved = site.aside_names()
    assert len(moved) <= MOST
    repair()
    began = time.monotonic()
    # One may be ended after it has delivered.
    site.wait(lambda: {*site.delivered(), *moved} == set(names), 1200 if LONG else 300)
    print(f"\n{len(names)} messages: {len(moved)} moved; "
          f"all others routed {time.monotonic() - began:.1f} s after the repair")  # fmt: skip
    assert site.aside_names() == moved
    assert site.log().count("the fuse has blown") == 1
    site.wait(lambda: not site.waiting())  # it is moved after it is told
