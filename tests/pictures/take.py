"""Takes the pictures of the dashboards: two hosts in trouble, under a real Prometheus and a real Alertmanager.

    python tests/pictures/take.py [DIRECTORY], by default grafana/pictures

mx2 has a plugin that hangs: the picture of "Mail gate" is of the moment when its alert fires. mx1 has a router that
dies of one message, gets copies of it, leaks memory, and at last dies of every message: the picture of "Router guard"
is of the moment when the fuse blows.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metrics.prometheus_kit import GRAFANA
from metrics.rules_kit import read_rules
from metrics.test_metrics_incidents import break_router, hang, mail, pass_on, storm
from metrics.trouble_kit import Host, Watch, two_hosts, until
from pictures.render import answers, bundle, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import Message

WARM: Final = 8.0
CALM: Final = 15.0
AFTER: Final = 1.5
PAUSE: Final = 0.1
LEAK: Final = 60
LEAK_PAUSE: Final = 0.3
FAULTY_EACH: Final = 6
"""Of so many messages one is faulty."""


def faulty() -> Iterator[Message]:
    """Mail with one mistake each, again and again."""
    mistakes = (
        (b"To", b' "Joe <joe@example.com>'),
        (b"To", b" joe@accounts@example.com"),
        (b"Date", b" yesterday"),
        (b"From", b" a@example.org, <b@example.org"),
        (b"To", b' "Joe <joe@example.com>, "Ann" <ann@example.com>'),
    )
    for name, value in itertools.cycle(mistakes):
        yield mail("faulty").without(name).field(name, value)


@contextmanager
def traffic(hosts: dict[str, Host]) -> Iterator[None]:
    """Mail to both hosts until the end of the block, good and faulty; the good mail of mx1 goes on to its router."""
    over = threading.Event()

    def send() -> None:
        mistakes = faulty()
        for number in itertools.count():
            if over.wait(PAUSE):
                return
            good = number % FAULTY_EACH
            for host in hosts.values():
                with suppress(OSError):  # a worker may end while it is asked
                    host.milter.send(mail(f"traffic{number}") if good else next(mistakes))
            if good:
                hosts["mx1"].router.put(f"traffic{number}")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def leak(host: Host) -> None:
    """Messages that each leave something behind in their worker, slowly enough to be seen."""
    for number in range(LEAK):
        host.router.put(f"leak{number}", "memory 12")
        time.sleep(LEAK_PAUSE)


def take(name: str, watch: Watch, since: float, directory: Path) -> None:
    """The picture of a dashboard as it is now."""
    now = time.time()
    firing = sorted(watch.firing("mx1") | watch.firing("mx2"))
    draw(name, answers(name, watch.source, since, now), since, now, directory / f"{name}.png")
    print(f"{name}: {now - since:.0f} s, with {', '.join(firing)}")


def fires(watch: Watch, host: Host, alert: str) -> None:
    """Wait until an alert fires, and what it is about has been scraped."""
    until(lambda: alert in watch.firing(host.name), f"{alert} fires", host)
    time.sleep(AFTER)


def main(directory: Path) -> None:
    """Take both."""
    bundle()
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="forebay-") as place:
        root = Path(place)
        root.chmod(0o755)
        with two_hosts(root, read_rules(root / "rules")) as (watch, hosts), traffic(hosts):
            time.sleep(WARM)
            began = time.time()
            time.sleep(CALM)
            hang(hosts["mx2"])
            fires(watch, hosts["mx2"], "ForebayValidatorHung")
            take("mail-gate", watch, began, directory)
            pass_on(hosts["mx1"], "killer", "memory")
            fires(watch, hosts["mx1"], "ForebayRouterOutOfMemory")
            storm(hosts["mx1"])
            fires(watch, hosts["mx1"], "ForebayKillerResent")
            leak(hosts["mx1"])
            fires(watch, hosts["mx1"], "ForebayRouterLeaks")
            break_router(hosts["mx1"])
            fires(watch, hosts["mx1"], "ForebayFuseBlown")
            take("router-guard", watch, began, directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GRAFANA / "pictures")
