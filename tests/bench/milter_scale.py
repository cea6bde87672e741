"""How the milter scales: workers, open sessions, sizes of headers, and shares of hostile mail.

    .venv/bin/python tests/bench/milter_scale.py [--json] [ROUNDS [SECONDS]]

Each row is a milter of its own, and the rows of one table are measured by turns. With more sessions than clients (8),
the others are open and say nothing for the moment. Hostile mail is the worst that is known, in headers of 60 KB: it
must not come through at less than half the speed of good mail of that size, nor cost memory that stays.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kit import mail, milters
from bench.kit.load import Load, run
from bench.kit.report import report

if TYPE_CHECKING:
    from forebay.testing import Message

WORKERS: Final = 4
CLIENTS: Final = 8
HEAD: Final = ("what", "messages a second", "CPU us a message", "median ms", "99 % below ms", "memory MB")
BIG: Final = 58_000
"""Bytes of a good header that hostile ones are compared with."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row."""

    name: str
    messages: list[Message]
    workers: int = WORKERS
    sessions: int = 0


def cases() -> list[Case]:
    """All rows."""
    ordinary = mail.realistic(60)
    found = [Case(f"{workers} workers", ordinary, workers) for workers in (1, 2, 4, 8)]
    found += [Case(f"{sessions:,} sessions", ordinary, sessions=sessions) for sessions in (8, 100, 500, 2000)]
    found += [Case(f"header of {size:,} bytes", [mail.of_size(size)]) for size in (1000, 4000, 16_000, BIG)]
    good, evil = [mail.of_size(BIG)] * 6, mail.hostile()
    found += [
        Case("hostile 1 %", [*good * 16, *good[:3], evil[0]]),
        Case("hostile 10 %", [*good * 22, *good[:3], *evil]),
    ]
    found += [Case("hostile 100 %", evil)]
    found += [Case(f"hostile 100 %, {number}", [each]) for number, each in enumerate(evil, 1)]
    return found


def measure(case: Case, seconds: float) -> Load:
    """One row once, after a warm-up."""
    with milters.forebay(case.workers, "max_connections = 5000") as milter:
        clients = min(CLIENTS, case.sessions or CLIENTS)
        run(milter.path, case.messages, milter.pid, clients=clients, seconds=seconds / 3)
        return run(milter.path, case.messages, milter.pid, clients=clients, seconds=seconds, sessions=case.sessions)


def main() -> None:
    """Measure, and print."""
    numbers = [float(each) for each in sys.argv[1:] if not each.startswith("-")]
    rounds, seconds = int(numbers[0]) if numbers else 3, numbers[1] if len(numbers) > 1 else 1.5
    loads: dict[str, list[Load]] = {}
    every = cases()
    for number in range(rounds):
        for case in every[:: 1 if number % 2 else -1]:
            loads.setdefault(case.name, []).append(measure(case, seconds))
    middle = {
        case.name: [
            statistics.median(getattr(load, figure) for load in loads[case.name])
            for figure in ("per_second", "cpu", "median", "late", "memory")
        ]
        for case in every
    }
    rows = [
        (name, f"{speed:,.0f}", f"{cpu:,.0f}", f"{median:.1f}", f"{late:.0f}", f"{memory / 1e6:.0f}")
        for name, (speed, cpu, median, late, memory) in middle.items()
    ]
    good = middle[f"header of {BIG:,} bytes"]
    worst = max((each for each in middle if each.startswith("hostile")), key=lambda each: 1 / middle[each][0])
    ratios = {
        "time of the worst hostile mail to good mail of its size": good[0] / middle[worst][0],
        "memory under the worst to that under good mail": max(each[4] for name, each in middle.items() if name.startswith("hostile")) / good[4],
        "CPU with 2,000 sessions to that with 8": middle["2,000 sessions"][1] / middle["8 sessions"][1],
    }  # fmt: skip
    print(f"the worst: {worst}", file=sys.stderr)
    report("milter_scale", HEAD, rows, ratios)


if __name__ == "__main__":
    main()
