"""What a scrape costs: CPU time, the least of several, so that a busy machine fails nobody."""

from __future__ import annotations

import os
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.testing import milter_service
from metrics.meter_kit import whole_meter
from metrics.prometheus_kit import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.testing import MilterService

WORKERS: Final = 16
MILTER_SECONDS: Final = 0.1
MILTER_BYTES: Final = 1_000_000
SLOTS: Final = 200
SIDECAR_SECONDS: Final = 0.02
TRIES: Final = 15
EVIL: Final = b'From: a@example.org\nTo: "joe@example.com\n'


def least(measure: Callable[[], float]) -> float:
    """The least of several measurements."""
    return min(measure() for _ in range(TRIES))


def keeper_of(service: MilterService) -> int:
    """The pid of the process that answers scrapes."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return next(int(each) for each in children if "keeper" in Path(f"/proc/{each}/comm").read_text())


def cpu_of(pid: int) -> float:
    """The CPU time in seconds that all threads of a process, ended ones too, have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_scrape_of_sixteen_workers_is_cheap() -> None:
    """Under 100 ms of CPU time, and under 1 MB, with every worker having counted."""
    with milter_service(milter=f"workers = {WORKERS}") as service:
        until = time.monotonic() + DEADLINE
        while service.metrics().get("forebay_workers") != WORKERS:
            assert time.monotonic() < until, service.log()
            time.sleep(0.1)
        for _ in range(4 * WORKERS):
            service.send(EVIL)
        keeper = keeper_of(service)
        sizes = []

        def scrapes() -> float:
            """Ten at once: the kernel counts hundredths of a second."""
            began = cpu_of(keeper)
            for _ in range(10):
                with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=DEADLINE) as answer:
                    sizes.append(len(answer.read()))
            return (cpu_of(keeper) - began) / 10

        took = min(scrapes() for _ in range(3))
        print(f"16 workers: {took * 1000:.1f} ms of CPU time, {max(sizes):,} bytes")
        assert took < MILTER_SECONDS
        assert max(sizes) < MILTER_BYTES


def test_a_scrape_of_two_hundred_slots_is_cheap() -> None:
    """Under 20 ms of the sidecar's CPU time, which its guard does not have meanwhile."""
    meter = whole_meter(SLOTS)

    def scrape() -> float:
        began = time.process_time()
        text, _ = meter.render()
        assert text.count(b"forebay_router_memory_events_total{") == 4 * SLOTS
        return time.process_time() - began

    took = least(scrape)
    print(f"200 slots: {took * 1000:.1f} ms of CPU time, {len(meter.render()[0]):,} bytes")
    assert took < SIDECAR_SECONDS
