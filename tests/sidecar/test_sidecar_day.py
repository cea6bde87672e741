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
    """Every good message is routed, each killer kills at most strikes + workers - 1 times, and lies aside; no other."""
    site = sites(style, WORKERS, router__limits__file_size=16 << 20, router__limits__message_cpu=1.0)
    site.start()
    names = [f"g{number}" for number in range(GOOD)]
    evil = [f"{kind}.{number}" for kind in KILLERS for number in range(COPIES)]
    order = names + evil
    random.Random(1).shuffle(order)
    began = time.monotonic()
    done, last, longest = 0, began, 0.0
    for _number, name in enumerate(order):
        kind = name.partition(".")[0]
        header = "To: " + "[" * LEAK + "\n" if kind == "leak" else ""
        site.put(name, KILLERS.get(kind, ""), header=header, identity=kind if "." in name else "")
        while len(site.waiting()) > BACKLOG:  # days are fast here, but mail still comes one by one
            assert time.monotonic() - began < LIMIT, site.log()[-4000:]
            done, last, longest = progress(site, done, last, longest)
            time.sleep(0.02)
    while len(set(site.delivered())) < GOOD or site.waiting() or len(site.entries("aside")) < len(evil):
        assert time.monotonic() - began < LIMIT, site.log()[-4000:]
        done, last, longest = progress(site, done, last, longest)
        time.sleep(0.1)
    delivered = Counter(site.delivered())
    assert set(delivered) == set(names)
    twice = {name: count for name, count in delivered.items() if count > 1}
    aside = site.entries("aside")
    assert len(aside) == len(evil)
    kinds = Counter(name.partition("@")[0] for name in site.aside_names())
    assert kinds == dict.fromkeys(KILLERS, COPIES)
    kills = site.kills_by(KILLERS)
    print(f"\n{style}: {GOOD} good in {time.monotonic() - began:.1f} s, longest pause {longest:.2f} s, "
          f"twice {len(twice)}, kills {dict(kills)}")  # fmt: skip
    assert len(twice) <= sum(kills.values())
    assert max(kills.values()) <= 2 + WORKERS - 1


def progress(site: Site, done: int, last: float, longest: float) -> tuple[int, float, float]:
    """How many were delivered, when the last one, and the longest pause while some were waiting."""
    now, count = time.monotonic(), len(site.delivered())
    if count > done:
        return count, now, max(longest, now - last)
    return done, last, longest
