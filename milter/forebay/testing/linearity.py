"""Whether a validator stays linear: twice the message may take twice the time, never four times."""

from __future__ import annotations

import signal
import threading
import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from forebay.testing.message import Message
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.api import Validator

    Construct = Callable[[int], "Message | bytes"]

SMALLEST: Final = 16
"""Repetitions to begin with: an exponential validator must be caught while it can still be waited for."""
LARGEST: Final = 1 << 17
"""Repetitions at most. MTAs cut a field at 60,000 bytes or sooner."""
ENOUGH: Final = 0.02
"""Seconds of CPU time from which on a run is long enough to be compared."""
MOST: Final = 2.0
"""Seconds of CPU time after which one run is given up: whatever it is, it is not linear."""
STEP: Final = 8
"""How much larger the larger message is than the smaller one that it is compared with."""
TOLERANCE: Final = 3.0
"""How much more the larger one may take a byte. Linear is 1, quadratic is `STEP`, and caches and noise lie between."""

_TRIES: Final = 4
_RUNS: Final = 5
_SMALL_MEMORY: Final = 1 << 20


def assert_linear(validator: type[Validator], construct: Construct, **options: object) -> None:
    r"""Assert that time and memory of a validator grow no faster than the message.

    `construct(n)` makes a message with something in it repeated n times, whatever is worst for the validator:

        assert_linear(SubjectShouts, lambda n: b"Subject: " + b"A" * n)

    CPU time is measured, the least of several runs, so that a busy machine does no harm. A validator that is caught
    in something exponential is interrupted (in the main thread, where Python delivers signals).
    """
    runner = Runner.of(validator, **options)
    count, spent = SMALLEST, 0.0
    while count < LARGEST and spent < ENOUGH:
        count *= 2
        spent = _time(runner, construct, count, runs=1)
    if spent < ENOUGH:
        count = LARGEST  # so fast that there is nothing to compare but its memory
    else:
        _compare_time(runner, construct, count)
    _compare_memory(runner, construct, count)


def _compare_time(runner: Runner, construct: Construct, count: int) -> None:
    """Compare a message with one that is smaller by `STEP`; more tries than one, since noise only ever adds."""
    small, large = _message(construct, max(1, count // STEP)), _message(construct, count)
    growth = large.size / max(1, small.size)
    least_small = least_large = float("inf")
    for _ in range(_TRIES):
        least_small = min(least_small, _time(runner, construct, max(1, count // STEP), runs=_RUNS))
        least_large = min(least_large, _time(runner, construct, count, runs=_RUNS))
        if least_large / least_small <= TOLERANCE * growth:
            return
    raise AssertionError(
        f"not linear: {small.size:,} bytes take {least_small * 1000:,.2f} ms and {large.size:,} bytes "
        f"{least_large * 1000:,.2f} ms, {least_large / least_small:,.0f} times as long for {growth:,.0f} times the size"
    )


def _compare_memory(runner: Runner, construct: Construct, count: int) -> None:
    small, large = _message(construct, max(1, count // STEP)), _message(construct, count)
    before, after = _memory(runner, small), _memory(runner, large)
    growth = large.size / max(1, small.size)
    if after > _SMALL_MEMORY and after > TOLERANCE * growth * before:
        raise AssertionError(
            f"not linear: {small.size:,} bytes take {before:,} bytes of memory and {large.size:,} bytes {after:,}"
        )


def _time(runner: Runner, construct: Construct, count: int, *, runs: int) -> float:
    """The least CPU time of some runs, in seconds."""
    message = _message(construct, count)
    least = float("inf")
    for _ in range(runs):
        with _limit(message):
            started = time.thread_time()
            runner.run(message)
            least = min(least, time.thread_time() - started)
    return max(least, 1e-9)


def _memory(runner: Runner, message: Message) -> int:
    """The most memory that Python's objects took while a message was judged, in bytes."""
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        runner.run(message)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not was_tracing:
            tracemalloc.stop()


@contextmanager
def _limit(message: Message) -> Iterator[None]:
    """Interrupt what runs for longer than `MOST` seconds of CPU time: `re` looks for signals now and then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise AssertionError(f"not linear: {message.size:,} bytes take more than {MOST:.0f} s")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _message(construct: Construct, count: int) -> Message:
    return Message.of(construct(count))
