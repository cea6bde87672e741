"""What a benchmark prints and keeps: a table for people, a JSON line for programs, and a line in the history.

Figures of one machine say little of another, and little of the same one under other load. What is compared from run to
run are ratios: of two things that were measured by turns within one run.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HISTORY: Final = Path(__file__).resolve().parents[3] / ".cache" / "bench.jsonl"
"""One line a run: {"bench", "at", "python", "cpus", "load", "ratios", "rows"}."""

WORSE: Final = 1.3
"""By how much a ratio may exceed the median of the runs before it: what noise there is stays below."""

ENOUGH: Final = 3
"""Runs that a ratio is compared with, at least."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, as it stands in the documentation."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def report(bench: str, head: Sequence[str], rows: Sequence[Sequence[object]], ratios: Mapping[str, float]) -> None:
    """Print the table (or with --json the line), and add the line to the history.

    Each of `ratios` is a cost in multiples of another one that was measured beside it: less is better.
    """
    line: dict[str, Any] = {
        "bench": bench,
        "at": int(time.time()),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "rows": [dict(zip(head, row, strict=True)) for row in rows],
    }
    if "--json" in sys.argv[1:]:
        print(json.dumps(line))
    else:
        print(table(head, rows))
        print("\nratios: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    HISTORY.parent.mkdir(exist_ok=True)
    earlier = read(HISTORY)
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")
    for each in regressions([*earlier, line], bench):
        print(f"slower than before: {each}")


def read(path: Path) -> list[dict[str, Any]]:
    """The runs in a history, the oldest first; none where there is no file. A damaged line is left out."""
    runs = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            run = json.loads(line)
        except ValueError:
            continue
        if isinstance(run, dict) and isinstance(run.get("ratios"), dict):
            runs.append(run)
    return runs


def regressions(runs: Sequence[Mapping[str, Any]], bench: str) -> list[str]:
    """What is worse in the last run of a benchmark than in those before it, on the same Python and as many CPUs."""
    mine = [run for run in runs if run["bench"] == bench]
    if not mine:
        return []
    last = mine[-1]
    alike = [run for run in mine[:-1] if all(run.get(key) == last.get(key) for key in ("python", "cpus"))]
    found = []
    for name, ratio in last["ratios"].items():
        before = [run["ratios"][name] for run in alike if name in run["ratios"]]
        if len(before) >= ENOUGH and ratio > WORSE * (usual := statistics.median(before)):
            found.append(f"{bench}: {name} {ratio:.2f}, before {usual:.2f}")
    return found
