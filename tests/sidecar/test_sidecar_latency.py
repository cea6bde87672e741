"""How fast a killer lies aside after the worker's end, beside what an fsync costs on this machine."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from typing import TYPE_CHECKING

from forebay.cli.sidecar import load
from forebay.sidecar.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidecar.sidecar_kit import Site

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
SERIES = 200 if LONG else 30
BURST = 20


def fsync_seconds(folder: Path) -> list[float]:
    """What it takes to write and fsync a small file here."""
    found = []
    for number in range(100):
        with (folder / f"fsync{number}").open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            found.append(time.perf_counter() - began)
    return found


def run(site: Site, killers: int, good: int = 0) -> list[float]:
    """A sidecar in this process until so many messages lie aside; the seconds from each second strike's end to that."""
    config, adapter = load(str(site.write_config()))
    service = Service(config, adapter, config.router.command, "test")
    seconds: list[float] = []
    observe = service.meter.reaction.observe

    def note(value: float, exemplar: dict[str, str] | None = None) -> None:
        seconds.append(value)
        observe(value, exemplar)

    service.meter.reaction.observe = note  # type: ignore[method-assign,assignment] # to see single values, not buckets

    async def until() -> None:
        task = asyncio.ensure_future(service.run())
        deadline = time.monotonic() + max(240, 8 * killers)  # each starts two processes, for a second each in a guest

        def is_open() -> bool:
            return service.spool.aside < killers or len(site.delivered()) < good

        while is_open() and time.monotonic() < deadline and not task.done():  # noqa: ASYNC110 - what is waited for is in files
            await asyncio.sleep(0.1)
        os.kill(os.getpid(), 15)
        await task

    asyncio.run(until())
    return seconds


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def test_from_the_end_to_the_file_aside(sites: Callable[..., Site]) -> None:
    """A series of killers, one after the other: each lies aside within milliseconds after its second death."""
    site = sites("single", 1, sidecar__set_aside_max=0)
    for number in range(SERIES):
        site.put(f"k{number:03}", "crash")
    fsyncs = fsync_seconds(site.root)
    seconds = run(site, SERIES)
    second = seconds[1::2]
    assert len(site.entries("aside")) == SERIES
    print(f"\n{len(second)} second strikes: median {1000 * statistics.median(second):.1f} ms, "
          f"p99 {1000 * percentile(second, 0.99):.1f} ms; fsync median {1000 * statistics.median(fsyncs):.1f} ms, "
          f"p99 {1000 * percentile(fsyncs, 0.99):.1f} ms")  # fmt: skip
    assert statistics.median(second) < 5  # far below any rescan, on whatever machine


def test_twenty_at_once(sites: Callable[..., Site]) -> None:
    """Twenty workers killed at the same moment: twenty times the right message is struck, and lies aside."""
    site = sites("single", BURST, sidecar__set_aside_max=0)
    for number in range(BURST):
        site.put(f"k{number:03}", "crash")
        site.put(f"l{number:03}")
    seconds = run(site, BURST, BURST)
    assert site.aside_names() == [f"k{number:03}" for number in range(BURST)]
    assert sorted(site.delivered()) == [f"l{number:03}" for number in range(BURST)]
    assert len(seconds) == 2 * BURST
