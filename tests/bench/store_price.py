"""What the store costs: taking in record files, finding entries, and comparing a message with known fingerprints.

    .venv/bin/python tests/bench/store_price.py [--json] [ENTRIES]

With SQLite in a temporary directory. Beside them, by turns: writing as many rows into SQLite without the store.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kit import mail
from bench.kit.report import report
from forebay.config import Config
from forebay.judge.fingerprints import Snapshot, load_judge_and_matcher
from forebay.message.envelope import Envelope
from forebay.records import Records
from forebay.store import entries
from forebay.store.engine import Store
from forebay.store.intake import Intake
from unit.store.stores import record

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRIES = 5000
ROUNDS = 3
KNOWN = 10_000
HEAD = ("what", "number", "us each")


def seconds(work: Callable[[], object]) -> float:
    """Time that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def plain_rows(folder: Path, number: int) -> None:
    """As many rows as records, in batches of a hundred, each batch safe on disk."""
    with sqlite3.connect(folder / "plain.db") as database:
        database.execute("create table row (id text primary key, sender text, header blob)")
        for start in range(0, number, 100):
            rows = ((f"{each}", "jane@example.org", bytes(100)) for each in range(start, start + 100))
            database.executemany("insert into row values (?, ?, ?)", rows)
            database.commit()
    database.close()


def round_of(number: int) -> dict[str, tuple[int, float]]:
    """Everything once: how many, and the seconds."""
    found: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = Records(folder / "records")
        records.make()
        made = [record(each) for each in range(number)]

        def write_some() -> None:
            for each in made[:200]:
                records.write(each)

        found["a record file written, safe on disk"] = 200, seconds(write_some)
        for each in made[200:]:
            records.write(each, durable=False)
        store = Store(f"sqlite:///{folder}/store.db", migrate=True)
        intake = Intake(store, records, None, 0)

        def take_all() -> None:
            while intake.take().entries:
                pass

        found["a record taken in"] = number, seconds(take_all)
        found["a plain row in SQLite"] = number, seconds(lambda: plain_rows(folder, number))
        with store.read() as database:
            wanted = entries.Filter(sender="jane")
            found["a page of 50 entries found"] = (
                20,
                seconds(lambda: [entries.find(database, wanted, entries.Page(limit=50)) for _ in range(20)]),
            )
        store.close()
    return found


def matching() -> tuple[int, float]:
    """Comparing good mail with known fingerprints."""
    _, matcher = load_judge_and_matcher(Config())
    matcher.renew(Snapshot({each.to_bytes(16, "big"): 1e12 for each in range(KNOWN)}))
    messages = [(each.fields, Envelope(each.sender, each.recipients)) for each in mail.realistic(60)]
    judged = [(matcher.protect.judge(*each), *each) for each in messages]
    return 1200, seconds(lambda: [matcher.match(*each) for _ in range(20) for each in judged])


def main() -> None:
    """Measure, and print."""
    number = next((int(each) for each in sys.argv[1:] if each.isdigit()), ENTRIES)
    rounds = [
        {**round_of(number), f"a message compared with {KNOWN:,} fingerprints": matching()} for _ in range(ROUNDS)
    ]
    cost = {name: statistics.median(each[name][1] / each[name][0] * 1e6 for each in rounds) for name in rounds[0]}
    rows = [(name, f"{rounds[0][name][0]:,}", f"{each:,.1f}") for name, each in cost.items()]
    ratio = cost["a record taken in"] / cost["a plain row in SQLite"]
    report("store_price", HEAD, rows, {"a record taken in to a plain row": ratio})


if __name__ == "__main__":
    main()
