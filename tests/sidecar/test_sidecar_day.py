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


@pytest.mark.parametrize("style", ["new", "old"])
def test_a_bad_day(sites: Callable[..., Site], style: str) -> None:
    """Every good message is routed, each killer kills at most strikes + workers - 1 times, and lies aside; no other.

    Good mail does not wait until a killer has been dealt with, and comes as long as there is one: where nothing but
    killers of eight kinds is tried, the fuse must blow.
    """
    site = sites(style, WORKERS, router__limits__file_size=16 << 20, router__limits__message_cpu=1.0)
    site.start()
    names = [f"g{number}" for number in range(GOOD)]
    evil = [f"{kind}.{number}" for kind in KILLERS for number in range(COPIES)]
    order = names + evil
    random.Random(1).shuffle(order)
    began = time.monotonic()
    sent, done, last, longest = 0, 0, began, 0.0
    while order or done < len(names) or site.waiting() or len(site.entries("aside")) < len(evil):
        assert time.monotonic() - began < LIMIT, site.log()[-4000:]
        done, last, longest = progress(site, done, last, longest)
        while sent - done < BACKLOG and order:  # days are fast here, but mail still comes one by one
            name = order.pop()
            put(site, name)
            sent += "." not in name
        if not order and sent - done < BACKLOG and len(site.entries("aside")) < len(evil):
            names.append(f"g{sent}")
            put(site, names[-1])
            sent += 1
        time.sleep(0.02)
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
