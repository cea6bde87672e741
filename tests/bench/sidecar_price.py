"""What the sidecar and its clerk cost: CPU with 200 busy workers, and CPU of a good message with and without them.

    python tests/bench/sidecar_price.py [PAIRS [MESSAGES [STYLE [RATE]]]]

Run it alone on a quiet machine. STYLE is how the stand-in router claims a message (new, old or open), RATE how many
messages come in a second: as fast as at a site's worst, and no faster than they are routed. The router parses each
header, that of the other benchmarks, with the standard library's email package: about a millisecond, where the routers
that were measured take several. Without messages it looks into its spool four times a second, as guarded as alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import Site, groups

IDLE = 5.0
OWN = ("from", "to", "date", "subject", "message-id")
"""The fields that a message is put in with anyway."""
FIELDS = "".join(
    field
    for field in re.split(r"(?m)^(?=\S)", Path(__file__).with_name("header.eml").read_text("ascii"))
    if field.partition(":")[0].lower() not in OWN
).rstrip("\n")


def pids(site: Site) -> list[int]:
    """All processes in the groups of a site."""
    return [pid for base in groups(site.root) for leaf in base.glob("*/") for pid in cgroup.pids(leaf)]


def cpu(every: list[int]) -> float:
    """CPU seconds of these processes, to the nanosecond (/proc/PID/schedstat; stat counts in hundredths)."""
    used = 0
    for task in (each for pid in every for each in Path(f"/proc/{pid}/task").glob("*/schedstat")):
        with suppress(OSError):
            used += int(task.read_text("ascii").split()[0])
    return used / 1e9


def family(pid: int) -> list[int]:
    """A process and all below it: the sidecar, and its clerk."""
    below = [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]
    return [pid, *(each for child in below for each in family(child))]


def end(site: Site) -> None:
    """End the sidecar, the router and their groups."""
    site.stop()
    for _ in range(100):
        for pid in pids(site):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for base in groups(site.root):
            for leaf in base.glob("*/"):
                cgroup.remove(leaf)
            cgroup.remove(base)
        if not any(each.exists() for each in groups(site.root)):
            break
        time.sleep(0.05)
    if site.router:
        site.router.wait()
    shutil.rmtree(site.root)


def busy(workers: int, seconds: float) -> float:
    """The share of one core that the sidecar uses while so many workers have a message in hand."""
    site = Site(Path(tempfile.mkdtemp()), "new", workers, router__limits__message_time=600.0)
    site.outage.touch()
    site.start()
    for number in range(workers):
        site.put(f"m{number}", "dns")
    time.sleep(25)
    assert site.process
    own, routing = site.process.pid, set(pids(site))
    every = [each for each in family(own) if each not in routing]
    before, before_all = cpu([own]), cpu(every)
    time.sleep(seconds)
    share, whole = (cpu([own]) - before) / seconds, (cpu(every) - before_all) / seconds
    held = len((site.root / "state-sidecar" / "claims").read_bytes()) and site.status()
    print(
        f"{workers} workers, {held and held['workers']} known: {100 * share:.2f} % of a core, "
        f"{100 * whole:.2f} % with its clerk",
        flush=True,
    )
    end(site)
    return share


def settle(pid: int) -> float:
    """Wait until the sidecar and its clerk have begun; what the three processes use of a core when there is no mail."""
    while True:
        before = cpu(family(pid))
        time.sleep(1)
        if len(family(pid)) == 3 and cpu(family(pid)) - before < 0.03:
            break
    before = cpu(family(pid))
    time.sleep(IDLE)
    return (cpu(family(pid)) - before) / IDLE


def day(messages: int, guarded: bool, style: str, rate: float) -> tuple[float, float, float]:
    """CPU seconds of a good message: of the router, of the sidecar where there is one, and what of this it is that causes."""
    site = Site(Path(tempfile.mkdtemp()), style, 4)
    site.router_options = ["--idle", "0.25"]
    site.launch_router()
    if guarded:
        site.start(wrap=False)
    site.wait(lambda: len(pids(site)) >= 4 + (style != "old"))  # that one's first process ends at once
    idle = settle(site.process.pid) if site.process else 0.0
    router, own = pids(site), family(site.process.pid) if site.process else []
    before, before_own, began = cpu(router), cpu(own), time.monotonic()
    for number in range(messages):
        site.put(f"m{number}", header=FIELDS)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
    site.wait(lambda: len(site.delivered()) == messages)
    used, used_own, seconds = cpu(router) - before, cpu(own) - before_own, time.monotonic() - began
    end(site)
    return used / messages, used_own / messages, (used_own - idle * seconds) / messages


def main() -> None:
    words = [*sys.argv[1:], *["10", "1000", "new", "100"][len(sys.argv) - 1 :]]
    pairs, messages, style, rate = int(words[0]), int(words[1]), words[2], float(words[3])
    busy(200, 30.0)
    ratios, own, caused = [], [], []
    for number in range(pairs):
        alone, guarded = (day(messages, each, style, rate) for each in (False, True))
        ratios.append((guarded[0] + guarded[1]) / alone[0] - 1)
        own.append(guarded[1] / guarded[0])
        caused.append(guarded[2] / guarded[0])
        print(f"pair {number}: router {1000 * alone[0]:.2f} ms alone, {1000 * guarded[0]:.2f} ms guarded, "
              f"sidecar {1000 * guarded[1]:.3f} ms; {100 * ratios[-1]:+.1f} %", flush=True)  # fmt: skip
    if pairs:
        print(
            f"{style}, {rate:.0f} messages a second, median of {pairs} pairs: {100 * statistics.median(ratios):+.1f} % "
            f"CPU a good message; the sidecar's own share {100 * statistics.median(own):.1f} % of the router's, "
            f"{100 * statistics.median(caused):.1f} % without what it takes when there is no mail"
        )


if __name__ == "__main__":
    main()
