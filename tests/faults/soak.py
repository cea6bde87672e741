"""The whole system for hours, at half of what it can do, unhurt: memory and descriptors of each process have to stay flat.

    .venv/bin/python tests/faults/soak.py HOURS

How much it can do is measured first, for a minute. After a tenth of the time, in which caches fill, a line is drawn
through each process's memory and its number of descriptors: what it rises by in the rest of the time may be no more
than MOST_MEMORY and MOST_DESCRIPTORS. Prints a line a minute, a table at the end, and what became of every message.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil  # type: ignore[import-untyped]  # has none
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.account_kit import Checker
from faults.faults_kit import Chronicle
from faults.sending_kit import KILLER, Load
from faults.test_faults_campaign import await_quiet, nothing_wrong
from faults.whole_kit import whole

if TYPE_CHECKING:
    from faults.whole_kit import Whole

MOST_MEMORY: Final = 8 << 20
MOST_DESCRIPTORS: Final = 8
"""What one process may rise by: a leak of a hundred bytes a message is more than this within an hour or two."""
MOST_PER_HELD: Final = 1536
"""Bytes more for each message that is on hold at the end: nobody takes them away, and the clerk knows each."""
CLERK: Final = "clerk"
_FEW: Final = 3
"""Samples of one that was seen for a moment, a command: nothing rises there."""
_MEASURING: Final = 60.0
_EAGER: Final = 1000.0
"""Messages a second that nothing here can do."""
_INTERVAL: Final = 10.0
_DISK: Final = "4g"
"""Nobody takes away what is on hold: its records are four kilobytes each, and filled a smaller one after an hour."""
_KILLER: Final = 4000
"""One message in so many kills: more than at any site, and not so many that the router does nothing but die."""


class Sample(NamedTuple):
    """One process at one moment."""

    at: float
    memory: int
    descriptors: int


def capacity(system: Whole) -> float:
    """Messages a second that it takes as fast as it can."""
    with Load(lambda: system.port, _EAGER, kinds=False) as load:
        time.sleep(_MEASURING)
        done = len(load.sent)
    await_quiet(system, load)
    return done / _MEASURING


def look(system: Whole, samples: dict[str, list[Sample]]) -> None:
    """Take a sample of every process of forebay's."""
    now = time.monotonic()
    for service in (system.milter, system.sidecar):
        for each in [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]:
            try:
                kind = CLERK if "forebay.sidecar.clerk" in each.cmdline() else each.name()
                name = f"{service.name}: {kind} {each.pid}"
                samples[name].append(Sample(now, each.memory_info().rss, each.num_fds()))
            except psutil.Error:
                continue


def rise(samples: list[Sample], member: str) -> float:
    """By how much a figure rises from the first sample to the last, by a line through all of them."""
    times = [each.at for each in samples]
    slope = linear_regression(times, [float(getattr(each, member)) for each in samples]).slope
    return slope * (times[-1] - times[0])


def soak(system: Whole, seconds: float) -> bool:
    """Run it, and print what was seen; whether all was well."""
    rate = capacity(system) / 2
    print(f"half of what it can do: {rate:.1f} messages a second", flush=True)
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    with Load(lambda: system.port, rate, killer=_KILLER) as load:
        began = told = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            if now > began + seconds / 10:
                look(system, samples)
            if now - told >= 60:
                told = now
                aside = sum(each.kind == KILLER for each in [*load.sent.values()])  # it grows meanwhile
                print(f"{(now - began) / 60:4.0f} min, {len(load.sent):,} messages, {aside} killers", flush=True)
            time.sleep(_INTERVAL)
    await_quiet(system, load)
    account = Checker(system, load.sent, Chronicle()).account()
    is_flat = report(samples, len(account.held))
    starts = {each.name: each.starts for each in system.services}
    print(f"{len(load.sent)} messages: {account}; the slowest answer after {load.slowest:.1f} s; starts: {starts}")
    return is_flat and nothing_wrong(account) and set(starts.values()) == {1}


def report(samples: dict[str, list[Sample]], held: int) -> bool:
    """Print the table of who was there for long; whether everything is flat, but for what a clerk knows of the held."""
    is_flat = True
    print(f"{'process':44} {'MB':>7} {'rise':>9} {'files':>6} {'rise':>7}")
    for name, each in sorted(samples.items()):
        if len(each) < _FEW:
            continue
        most = MOST_MEMORY + MOST_PER_HELD * held * (CLERK in name)
        memory, descriptors = rise(each, "memory"), rise(each, "descriptors")
        is_flat &= memory <= most and descriptors <= MOST_DESCRIPTORS
        last = each[-1]
        print(f"{name:44} {last.memory / 1e6:7.1f} {memory / 1e6:+9.3f} {last.descriptors:6} {descriptors:+7.2f}")
    return is_flat


def main() -> int:
    """Print the figures; 1 where something leaks or is lost."""
    patch = pytest.MonkeyPatch()
    try:
        with whole(patch, _DISK) as system:
            return 0 if soak(system, float(sys.argv[1]) * 3600) else 1
    finally:
        patch.undo()


if __name__ == "__main__":
    sys.exit(main())
