"""What each validator costs on realistic mail, and all of them together.

    .venv/bin/python tests/bench/validators.py [--json]

Validators share what the message layer finds out. So a validator's own price is told in two ways: what it costs as the
only one (with the recognition that it needs), and what is saved by leaving it out of all. Microseconds of CPU time a
message, the median of rounds by turns; ratios are to a plain Python loop over the same headers.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kit import mail
from bench.kit.report import report
from forebay.config import Config
from forebay.judge.discovery import discover
from forebay.judge.load import judge_of, load_judge
from forebay.message.envelope import Envelope

if TYPE_CHECKING:
    from forebay.judge.runner import Judge

ROUNDS = 7
MESSAGES = 60
SHOWN = 15


def judged(judge: Judge, messages: list[tuple[tuple[tuple[bytes, bytes], ...], Envelope, bytes]]) -> float:
    """CPU time a message."""
    started = time.process_time()
    for fields, envelope, body in messages:
        judge.judge(fields, envelope, body)
    return (time.process_time() - started) / len(messages) * 1e6


def looped(messages: list[tuple[tuple[tuple[bytes, bytes], ...], Envelope, bytes]]) -> float:
    """CPU time a message of two plain steps a field: the least that any filter written in Python does."""
    started = time.process_time()
    for fields, _, _ in messages:
        size = 0
        for name, value in fields:
            size += len(name.lower()) + len(value)
    return (time.process_time() - started) / len(messages) * 1e6


def main() -> None:
    """Measure, and print."""
    messages = [
        (each.fields, Envelope(each.sender, each.recipients, "192.0.2.25"), each.body)
        for each in mail.realistic(MESSAGES)
    ]
    known, _ = discover("", "")
    every = load_judge(Config())

    def with_only(wanted: set[str]) -> Judge:
        return judge_of([each for each in known if each.id in wanted], Config())[0]

    ids = set(every.ids)
    judges = {"all of them": every, "none": with_only(set())}
    judges |= {f"only {each}": with_only({each}) for each in ids}
    judges |= {f"all but {each}": with_only(ids - {each}) for each in ids}
    costs: dict[str, list[float]] = {name: [] for name in judges}
    loops: list[float] = []
    for _ in range(ROUNDS):
        loops.append(looped(messages))
        for name, judge in judges.items():
            costs[name].append(judged(judge, messages))
    cost = {name: statistics.median(each) for name, each in costs.items()}
    loop = statistics.median(loops)
    rows = [(name, f"{cost[name]:.1f}", "", f"{cost[name] / loop:.1f}") for name in ("all of them", "none")]
    alone = sorted(ids, key=lambda each: -cost[f"only {each}"])
    for each in alone if "--json" in sys.argv[1:] else alone[:SHOWN]:
        saved = cost["all of them"] - cost[f"all but {each}"]
        rows.append((each, f"{cost[f'only {each}']:.1f}", f"{saved:.1f}", f"{cost[f'only {each}'] / loop:.1f}"))
    fields = sum(len(each) for each, _, _ in messages) / len(messages)
    print(
        f"{len(messages)} messages, {fields:.0f} fields each; a plain loop takes {loop:.1f} us a message",
        file=sys.stderr,
    )
    head = ("validator", "us a message alone", "us saved without it", "plain loops")
    report("validators", head, rows, {"all validators to a plain loop": cost["all of them"] / loop})


if __name__ == "__main__":
    main()
