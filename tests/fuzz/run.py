"""Fuzzes every target with atheris, as long as it is told, and prints a table.

    .venv/bin/python tests/fuzz/run.py HOURS [TARGET...]

As many targets at once as it has CPUs, each its share of the time. It begins with `corpus/TARGET`, keeps what it
learns in `.cache/fuzz/TARGET`, and goes on with that the next time. Ends with status 1 where something was found: the
bytes are then in `.cache/fuzz`, and belong into `corpus/TARGET` with the test that failed of them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

HERE: Final = Path(__file__).resolve().parent
LEARNT: Final = HERE.parents[1] / ".cache/fuzz"
LONGEST: Final = 4096
"""Bytes of an input: what lies behind a size is reached by targets that repeat what they are given."""
SLOW: Final = 25
"""Seconds of CPU time that one input may take at most."""
HUNG: Final = 600
"""Seconds in which it has to be done on the busiest machine."""
_FUZZ: Final = "--fuzz"
_RUNS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one target came to."""

    target: str
    seconds: float
    runs: int
    learnt: int
    found: tuple[Path, ...]
    said: str


def run(target: str, seconds: int) -> Outcome:
    """Fuzz one target in a process of its own."""
    learnt = LEARNT / target
    learnt.mkdir(parents=True, exist_ok=True)
    began, started = time.monotonic(), time.time()
    command = [
        sys.executable, __file__, _FUZZ, target, f"-max_total_time={seconds}", f"-dict={HERE / 'tokens.dict'}",
        f"-artifact_prefix={LEARNT}/{target}-", f"-max_len={LONGEST}", f"-timeout={HUNG}", "-print_final_stats=1",
        "-rss_limit_mb=1024", str(learnt), str(HERE / "corpus" / target),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    runs = _RUNS.search(said)
    found = [path for path in sorted(LEARNT.glob(f"{target}-*-*")) if path.stat().st_mtime >= started - 1]
    return Outcome(
        target, time.monotonic() - began, int(runs[1]) if runs else 0, len(list(learnt.iterdir())), tuple(found),
        said if done.returncode else "",
    )  # fmt: skip


def fuzz(target: str, flags: list[str]) -> None:
    """Be the process that fuzzes one target: ends it."""
    import atheris

    with atheris.instrument_imports(include=["forebay", "forebay_validators", "fuzz"]):
        from fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *flags], within(SLOW, TARGETS[target]))
    atheris.Fuzz()


def within(seconds: float, target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, which raises TimeoutError where it burns the CPU for longer: to wait for its turn is no fault."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s of CPU time")

    def timed(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            target(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, late)
    return timed


def main(hours: float, wanted: list[str]) -> int:
    """Fuzz them all, and print a line each."""
    from fuzz.targets import TARGETS

    targets = wanted or list(TARGETS)
    at_once = min(len(os.sched_getaffinity(0)), len(targets))
    seconds = max(int(hours * 3600 * at_once / len(targets)), 1)
    print(f"{len(targets)} targets, {seconds} s each, {at_once} at once", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(lambda target: run(target, seconds), targets))
    for each in outcomes:
        if each.said:
            print(f"\n{each.target}:\n{each.said[-8000:]}")
    print(f"\n{'target':<12}{'seconds':>9}{'runs':>14}{'kept':>8}  found")
    for each in outcomes:
        names = " ".join(str(path) for path in each.found) or ("failed" if each.said else "nothing")
        print(f"{each.target:<12}{each.seconds:>9.0f}{each.runs:>14,}{each.learnt:>8,}  {names}")
    print(f"{sum(each.runs for each in outcomes):,} runs")
    return int(any(each.said for each in outcomes))


if __name__ == "__main__":
    if sys.argv[1:2] == [_FUZZ]:
        fuzz(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
