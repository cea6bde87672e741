"""What all default validators cost on the header of an ordinary message.

    .venv/bin/python tests/bench/judge.py [--json]

Prints the median of many runs in microseconds of CPU time, beside a plain Python loop over the same header that was
measured by turns with it: two steps a field, which is the least that any filter written in Python does.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.config import Config
from forebay.judge.load import load_judge
from forebay.message.envelope import Envelope
from forebay.message.split import split

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = Path(__file__).with_name("header.eml")
"""Forty fields, as a message has that came through three servers and a mailing list, signed twice."""
CALLS = 200
ROUNDS = 51
BOUND = 150.0
"""Microseconds that the judge may take."""


def microseconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    started = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - started) / CALLS * 1e6


def main() -> None:
    """Measure, and print."""
    fields = split(HEADER.read_bytes()).fields
    envelope = Envelope(b"<list-bounces@lists.example.org>", (b"<someone@example.com>",), "192.0.2.25")
    judge = load_judge(Config())
    verdict = judge.judge(fields, envelope)

    def judged() -> object:
        return judge.judge(fields, envelope)

    def loop() -> int:
        size = 0
        for name, value in fields:
            size += len(name.lower()) + len(value)
        return size

    rounds = [(microseconds(judged), microseconds(loop)) for _ in range(ROUNDS)]
    median, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
    figures = {
        "fields": len(fields),
        "bytes": loop(),
        "action": verdict.action.word,
        "findings": [finding.id for finding in verdict.findings],
        "validators": len(judge.ids),
        "median_us": round(median, 1),
        "least_us": round(min(each for each, _ in rounds), 1),
        "loop_us": round(plain, 2),
        "loops": round(median / plain, 1),
        "bound_us": BOUND,
    }
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
