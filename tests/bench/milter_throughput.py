"""How fast the milter is under load, beside two milters that do nothing: one on pymilter, one on libmilter in C.

    .venv/bin/python tests/bench/milter_throughput.py [--json] [ROUNDS [SECONDS]]

All are measured by turns. The client is a program in Python too, on the same CPUs: what a milter costs is told best by
its CPU time a message, and by the ratios.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kit import mail, milters
from bench.kit.load import Load, run
from bench.kit.report import report

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

WORKERS = (1, 2, 4, 8)
HEAD = ("milter", "messages a second", "CPU us a message", "median ms", "99 % below ms", "memory MB")


def targets() -> dict[str, Callable[[], AbstractContextManager[milters.Running]]]:
    """All that are compared, by their names in the table."""
    found: dict[str, Callable[[], AbstractContextManager[milters.Running]]] = {"nothing, in C": milters.in_c}
    for workers in WORKERS:
        found[f"nothing, in Python, {workers} workers"] = lambda workers=workers: milters.in_python(workers)  # type: ignore[misc]
        found[f"forebay, {workers} workers"] = lambda workers=workers: milters.forebay(workers)  # type: ignore[misc]
    return found


def median(loads: list[Load], figure: str) -> float:
    """Of the rounds."""
    return float(statistics.median(getattr(load, figure) for load in loads))


def main() -> None:
    """Measure, and print."""
    numbers = [float(each) for each in sys.argv[1:] if not each.startswith("-")]
    rounds, seconds = int(numbers[0]) if numbers else 3, numbers[1] if len(numbers) > 1 else 1.5
    messages = mail.realistic(60)
    loads: dict[str, list[Load]] = {name: [] for name in targets()}
    for number in range(rounds):
        for name, start in list(targets().items())[:: 1 if number % 2 else -1]:
            with start() as milter:
                run(milter.path, messages, milter.pid, seconds=0.3)
                loads[name].append(run(milter.path, messages, milter.pid, seconds=seconds))
    rows = [
        (
            name,
            f"{median(each, 'per_second'):,.0f}",
            f"{median(each, 'cpu'):,.0f}",
            f"{median(each, 'median'):.1f}",
            f"{median(each, 'late'):.1f}",
            f"{median(each, 'memory') / 1e6:.0f}",
        )
        for name, each in loads.items()
    ]
    ratios = {}
    for workers in WORKERS:
        ours, theirs = loads[f"forebay, {workers} workers"], loads[f"nothing, in Python, {workers} workers"]
        ratios[f"CPU of forebay to nothing in Python, {workers} workers"] = median(ours, "cpu") / median(theirs, "cpu")
        ratios[f"time of forebay to nothing in Python, {workers} workers"] = median(theirs, "per_second") / median(
            ours, "per_second"
        )
    best = max(median(each, "per_second") for name, each in loads.items() if name.startswith("forebay"))
    ratios["time of forebay to nothing in C"] = median(loads["nothing, in C"], "per_second") / best
    report("milter_throughput", HEAD, rows, ratios)


if __name__ == "__main__":
    main()
