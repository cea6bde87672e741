"""What it costs to call a validator so that nothing that goes wrong in it does harm.

    .venv/bin/python tests/bench/isolation.py

Prints microseconds of CPU time a call on top of a bare one, the least of many runs: for a built-in validator, for a
third-party one, and for a third-party one under the watchdog of a worker (which writes its name to a shared page).
"""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING

from forebay.api import Field, FieldValidator, Finding, validator
from forebay.config import Config
from forebay.judge.breaker import Breaker
from forebay.judge.guard import Enabled, NoWatch, Watch, call
from forebay.judge.policy import compile_rule
from forebay.smtp.page import Page
from forebay.smtp.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CALLS = 20_000
RUNS = 15
FIELDS = ((b"Subject", b" hello"),)
FIELD = Field(0, b"Subject", b" hello")
HANG_TIME = 60.0


@validator(id="nothing", rfc="")
class Nothing(FieldValidator):
    """Finds nothing."""

    def check(self, field: Field) -> Iterable[Finding]:
        """Return nothing."""
        return ()


def least(work: Callable[[], object]) -> float:
    """Microseconds of CPU time a call."""
    best = float("inf")
    for _ in range(RUNS):
        started = time.process_time()
        for _ in range(CALLS):
            work()
        best = min(best, time.process_time() - started)
    return best / CALLS * 1e6


def enabled(breaker: Breaker | None) -> Enabled:
    """The validator, ready to be called."""
    rule = compile_rule(Nothing.spec, Config().policy.preset, None, None)
    return Enabled("nothing", Nothing().check, frozenset(), rule, "tag", breaker)


def guarded(breaker: Breaker | None, watch: Watch) -> float:
    """Microseconds of a guarded call."""
    ready = enabled(breaker)
    return least(lambda: call(ready, watch, FIELDS, FIELD))


def watched() -> float:
    """The same under a worker's watchdog, while it judges a message."""
    with tempfile.TemporaryFile() as trace:
        watchdog = Watchdog(Page().slot(0), HANG_TIME, trace.fileno())
        watchdog.begin(FIELDS)
        try:
            return guarded(Breaker(), watchdog)
        finally:
            watchdog.end()


def main() -> None:
    """Print the table."""
    check = Nothing().check
    bare = least(lambda: check(FIELD))
    rows = (
        ("built-in", guarded(None, NoWatch())),
        ("third-party", guarded(Breaker(), NoWatch())),
        ("third-party, watched", watched()),
    )
    print(f"{'a bare call':24}{bare:6.2f} us")
    for name, cost in rows:
        print(f"{name:24}{cost - bare:6.2f} us more")


if __name__ == "__main__":
    main()
