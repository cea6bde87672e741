"""How time and memory grow with the size of the input, measured so that a busy machine fails no test.

CPU time is read, not the clock. Noise only ever adds: the least of several runs counts, small and large are measured
by turns, and only what stays too slow after many turns and for many seconds is taken to be slow: a neighbour that
empties the caches makes the large dearer than the small, for as long as it runs.
"""

from __future__ import annotations

import itertools
import os
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LONG: Final = bool(os.environ.get("FOREBAY_TESTS_LONG"))
"""Check at full scale what is otherwise checked in seconds."""

MOST_GROWTH: Final = 2.3
"""By how much time may grow where the size doubles: 2 is linear, 4 quadratic."""

NEGLIGIBLE: Final = 0.0005
"""Seconds below which a ratio says more about the clock than about the code."""

UNIT: Final = 60_000
"""Bytes: Postfix passes on no longer field."""

MOST_LOOPS: Final = 90.0
"""How many times a plain Python loop over `UNIT` bytes something may take for as many: the product's 50 ms are 60 of
them on an idle machine, and on a busy one objects get dearer than loops."""

MOST_LOOPS_A_FIELD: Final = 0.15
"""The same for each field that is malformed, if there are many: objects have to be made for it, however short it is."""

_HUGE: Final = 2_000_000
"""Bytes from which on one turn must do."""

_FEWEST, _MOST = (7, 28) if LONG else (2, 28)

_PATIENCE: Final = 20.0
"""Seconds for which something has to stay too slow."""

_PAUSE: Final = 0.1
"""Seconds between turns that are there only to let a neighbour come to its end."""


def seconds(run: Callable[[], object]) -> float:
    """CPU time of one run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def loop_seconds() -> float:
    """CPU time that a plain Python loop over `UNIT` bytes takes just now, on this machine."""
    text = bytes(range(256)) * (UNIT // 256 + 1)

    def loop() -> int:
        quotes = 0
        for byte in text[:UNIT]:
            if byte == 0x22:
                quotes += 1
        return quotes

    return min(seconds(loop) for _ in range(5))


def check_time(small: Callable[[], object], large: Callable[[], object], size: int, fields: int = 0) -> float:
    """Assert that `large`, with an input of `size` bytes, takes not much more than twice the time of `small`.

    Nor may it take more than `MOST_LOOPS` allows, and `MOST_LOOPS_A_FIELD` for each of many fields. Returns the
    milliseconds for `UNIT` bytes.
    """
    least_small = least_large = least_loop = float("inf")
    growth = loops = 0.0
    began = time.monotonic()
    for turn in itertools.count(1):
        least_small = min(least_small, seconds(small))
        least_large = min(least_large, seconds(large))
        if turn < _FEWEST and size < _HUGE:
            continue
        growth = 1.0 if least_large < NEGLIGIBLE else least_large / max(least_small, NEGLIGIBLE / 2)
        if growth < MOST_GROWTH:
            per_unit = least_large * UNIT / size
            least_loop = min(least_loop, loop_seconds()) if per_unit > 10 * NEGLIGIBLE else 1.0
            loops = per_unit / least_loop
            if loops < MOST_LOOPS + MOST_LOOPS_A_FIELD * fields * UNIT / size:
                return per_unit * 1000
        if turn >= _MOST:
            if time.monotonic() - began > _PATIENCE:
                break
            time.sleep(_PAUSE)
    raise AssertionError(
        f"{size:,} bytes take {least_large * 1000:,.1f} ms, {growth:.1f} times as long as half of them, "
        f"{loops:.1f} times as long as a plain loop"
    )


def memory(run: Callable[[], object]) -> tuple[int, int]:
    """Bytes that Python's objects take after a run, its result included, and the most that they took meanwhile."""
    run()  # what is cached is cached
    tracemalloc.start()
    try:
        kept = run()
        now, peak = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return now, peak
