"""A site's bad day: thousands of good messages, and among them fifty copies of each of ten killers."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidecar.sidecar_kit import Site

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
GOOD = 8000 if LONG else 480
COPIES = 50 if LONG else 3
WORKERS = 4
BACKLOG = 8
LIMIT = 1800 if LONG else 240
LEAK = 16_000
"""Squared it is 244 MB: more than twice a worker's limit, since what it had before it came to its leaf is not counted."""
KILLERS = {
    "memory-a": "memory", "memory-b": "memory", "leak": "leak", "stall": "stall", "cpu": "cpu", "crash-a": "crash",
    "crash-b": "crash", "abort": "abort", "disk": "disk", "exit": "exit 3",
}  # fmt: skip


@pytest.mark.parametrize("style", ["new", "old", "gate"] if LONG else ["new", "old"])
def test_a_bad_day(sites: Callable[..., Site], style: str) -> None:
    """Every good message is routed, each killer kills at most strikes + workers - 1 times, and lies aside; no other."""
    site = sites("old" if style == "old" else "new", WORKERS, router__limits__file_size=16 << 20,
                 router__limits__message_cpu=1.0)  # fmt: skip
    queue = site.queue
    if style == "gate":
        site.queue = site.office / "inbox"
        site.queue.mkdir()
        site.settings["router.input"] = [str(site.queue)]
    site.start()
    names: list[str] = []
    evil = [f"{kind}.{number}" for kind in KILLERS for number in range(COPIES)]
    coming = evil.copy()
    random.Random(1).shuffle(coming)
    began = time.monotonic()
    done, last, longest = 0, began, 0.0
    # Days are fast here, but mail comes one by one, and good mail as long as there is any other: where nothing but
    # killers of eight kinds is left, the fuse must blow.
    is_over = False
    while not is_over or len(set(site.delivered())) < len(names):
        assert time.monotonic() - began < LIMIT, site.log()[-4000:]
        done, last, longest = progress(site, done, last, longest)
        is_first = len(names) < GOOD
        is_over = not (is_first or coming or waiting(site, queue)) and len(site.entries("aside")) >= len(evil)
        if len(names) - done <= (BACKLOG if is_first else 0) and not is_over:
            names.append(f"g{len(names)}")
            site.put(names[-1])
        if coming and len(names) % (GOOD // len(evil)) == 0 and len(waiting(site, queue)) <= BACKLOG:
            put(site, coming.pop())
        time.sleep(0 if is_first else 0.05)
    delivered = Counter(site.delivered())
    assert set(delivered) == set(names)
    twice = {name: count for name, count in delivered.items() if count > 1}
    aside = site.entries("aside")
    assert len(aside) == len(evil)
    kinds = Counter(name.partition("@")[0] for name in site.aside_names())
    assert kinds == dict.fromkeys(KILLERS, COPIES)
    kills = site.kills_by(KILLERS)
    print(f"\n{style}: {len(names)} good in {time.monotonic() - began:.1f} s, longest pause {longest:.2f} s, "
          f"twice {len(twice)}, kills {dict(kills)}")  # fmt: skip
    assert len(twice) <= sum(kills.values())
    assert max(kills.values()) <= 2 + WORKERS - 1


def put(site: Site, name: str) -> None:
    """One copy of a killer."""
    kind = name.partition(".")[0]
    header = "To: " + "[" * LEAK + "\n" if kind == "leak" else ""
    site.put(name, KILLERS[kind], header=header, identity=kind)


def waiting(site: Site, queue: Path) -> list[str]:
    """What waits at the gate, and what waits behind it."""
    return site.waiting() + ([each.name for each in queue.iterdir() if each.is_file()] if site.queue != queue else [])


def progress(site: Site, done: int, last: float, longest: float) -> tuple[int, float, float]:
    """How many were delivered, when the last one, and the longest pause while some were waiting."""
    now, count = time.monotonic(), len(site.delivered())
    if count > done:
        return count, now, max(longest, now - last)
    return done, last, longest
