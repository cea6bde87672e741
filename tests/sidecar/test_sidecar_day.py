"""A site's bad day: thousands of good messages, and among them fifty copies of each of ten killers."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
SCALE = os.environ.get("FOREBAY_DAY", "8000x50" if LONG else "480x3")
"""How many good messages, and how many copies of each killer."""
GOOD, COPIES = map(int, SCALE.split("x"))
WORKERS = 4
BACKLOG = 8
LIMIT = 1800 if "FOREBAY_DAY" in os.environ or LONG else 240
RESERVE = 256 << 20
"""The default of `router.limits.reserve`."""
LEAK = 16_000
"""Squared it is 244 MB: more than twice a worker's limit, since what it had before it came to its leaf is not counted."""
KILLERS = {
    "memory-a": "memory", "memory-b": "memory", "leak": "leak", "stall": "stall", "cpu": "cpu", "crash-a": "crash",
    "crash-b": "crash", "abort": "abort", "disk": "disk", "exit": "exit 3",
}  # fmt: skip


@pytest.mark.parametrize("style", ["new", "old", "gate"])
def test_a_bad_day(sites: Callable[..., Site], style: str) -> None:
    """Every good message is routed, each killer kills at most strikes + workers - 1 times, and lies aside; no other.

    Good mail does not wait until a killer has been dealt with, and comes as long as there is one: where nothing but
    killers of eight kinds is tried, the fuse must blow. At the gate a copy waits for the first one's trial; without, one
    that comes later may be taken up before the sidecar has seen it, and each kills once.
    """
    site = sites(
        "new" if style == "gate" else style,
        WORKERS,
        router__limits__file_size=16 << 20,
        router__limits__message_cpu=1.0,
    )
    spool = site.queue
    if style == "gate":
        site.queue = site.root / "door"
        site.queue.mkdir()
        site.settings["router.input"] = [str(site.queue)]
    site.start()
    names = [f"g{number}" for number in range(GOOD)]
    evil = [f"{kind}.{number}" for kind in KILLERS for number in range(COPIES)]
    order = names + evil
    random.Random(1).shuffle(order)
    began = time.monotonic()
    sent, done, last, longest, free = 0, 0, began, 0.0, available()
    while order or done < len(names) or site.waiting() or site.aside_count() < len(evil):
        assert time.monotonic() - began < LIMIT, site.log()[-4000:]
        done, last, longest = progress(site, done, last, longest)
        free = min(free, available())
        while sent - done < BACKLOG and order:  # days are fast here, but mail still comes one by one
            name = order.pop()
            put(site, name)
            sent += "." not in name
        if not order and sent - done < BACKLOG and site.aside_count() < len(evil):
            names.append(f"g{sent}")
            put(site, names[-1])
            sent += 1
        time.sleep(0.02)
    seconds = time.monotonic() - began
    site.queue = spool
    site.wait(lambda: not site.waiting())
    delivered = Counter(site.delivered())
    assert set(delivered) == set(names)
    twice = {name: count for name, count in delivered.items() if count > 1}
    aside = site.entries("aside")
    assert len(aside) == len(evil)
    kinds = Counter(name.partition("@")[0] for name in site.aside_names())
    assert kinds == dict.fromkeys(KILLERS, COPIES)
    kills = site.kills_by(KILLERS)
    deaths = site.deaths()
    print(f"\n{style}: {len(names)} good, {COPIES} copies of each killer in {seconds:.1f} s, longest pause {longest:.2f} s, twice {len(twice)}, "
          f"strikes {dict(kills)}, deaths {dict(deaths)}, least free memory {free >> 20} MiB")  # fmt: skip
    assert free >= RESERVE
    assert len(twice) <= deaths.total()
    assert max(kills.values()) <= 2 + WORKERS - 1


def put(site: Site, name: str) -> None:
    """A good message, or a copy of a killer."""
    kind = name.partition(".")[0]
    header = "To: " + "[" * LEAK + "\n" if kind == "leak" else ""
    site.put(name, KILLERS.get(kind, ""), header=header, identity=kind if "." in name else "")


def progress(site: Site, done: int, last: float, longest: float) -> tuple[int, float, float]:
    """How many were delivered, when the last one, and the longest pause while some were waiting."""
    now, count = time.monotonic(), len(set(site.delivered()))
    if count > done:
        return count, now, max(longest, now - last)
    return done, last, longest


def available() -> int:
    """What the kernel says that may be had without swapping, in bytes."""
    found = re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text("ascii"))
    assert found
    return int(found[1]) << 10
