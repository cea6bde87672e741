"""What the reference says of each process's death is what happens."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from forebay.api import Action, Example
from forebay.testing import MilterService, milter_service
from unit.docs.documents import REFERENCE, cells, names_in, section

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE: Final = 60.0
EVIL: Final = Example(
    b'From: jane@example.org\nTo: "joe@example.com\nDate: Thu, 26 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n'
)


def children(service: MilterService) -> dict[str, list[int]]:
    """The processes of a milter besides its supervisor, by the names that they have in ps(1)."""
    pid = service.process.pid
    found: dict[str, list[int]] = {}
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it may be going right now
            if not is_gone(int(each)):
                found.setdefault(Path(f"/proc/{each}/comm").read_text().strip(), []).append(int(each))
    return {name: pids for name, pids in found.items() if name.startswith("forebay-")}


def is_gone(pid: int) -> bool:
    """Whether a process has ended, buried or not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return True


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def metric(service: MilterService, name: str) -> float:
    """A metric; none while the keeper is away."""
    with suppress(OSError):
        return service.metrics().get(name, 0.0)
    return -1.0


def test_every_process_is_described() -> None:
    """A row for each kind, and the names under which ps(1) shows them."""
    text = section(REFERENCE, "## Processes")
    kinds = [re.sub(r" \(.*", "", each) for each in cells(text)]
    with milter_service(milter="workers = 2\n") as service:
        eventually(lambda: len(children(service)) == 3)
        assert set(children(service)) <= set(names_in(text))
        shown = {each.removeprefix("forebay-") for each in children(service)}
    assert {each[:7] for each in kinds} - {"supervi"} == {each[:7] for each in shown}


def test_a_killed_worker_costs_its_own_sessions() -> None:
    """They are cut and counted, and the worker is replaced."""
    with milter_service(milter="workers = 1\n") as service, service.client() as client:
        assert client.send(EVIL).action is Action.REJECT
        (worker,) = children(service)["forebay-worker"]
        eventually(lambda: metric(service, "forebay_connections") == 1)  # the one that asked whether it runs is gone
        os.kill(worker, signal.SIGKILL)
        assert client.send(EVIL).is_cut
        assert service.send(EVIL).action is Action.REJECT
        eventually(lambda: metric(service, 'forebay_worker_ends_total{reason="killed"}') == 1)
        assert metric(service, "forebay_sessions_cut_total") == 1


def test_a_killed_template_leaves_its_workers() -> None:
    """Sessions go on, and there is another template."""
    with milter_service(milter="workers = 1\n") as service, service.client() as client:
        assert client.send(EVIL).action is Action.REJECT
        (template,) = children(service)["forebay-templat"]
        os.kill(template, signal.SIGKILL)
        assert client.send(EVIL).action is Action.REJECT
        eventually(lambda: children(service).get("forebay-templat", [template]) != [template])
        assert service.send(EVIL).action is Action.REJECT
        eventually(lambda: metric(service, 'forebay_helper_ends_total{process="template"}') == 1)


def test_a_killed_keeper_is_not_noticed_by_mail() -> None:
    """It is replaced, and nothing that was counted is lost."""
    with milter_service(milter="workers = 1\n") as service, service.client() as client:
        assert client.send(EVIL).action is Action.REJECT
        eventually(lambda: "forebay-keeper" in children(service))
        os.kill(children(service)["forebay-keeper"][0], signal.SIGKILL)
        assert client.send(EVIL).action is Action.REJECT
        eventually(lambda: metric(service, 'forebay_helper_ends_total{process="keeper"}') == 1)
        assert metric(service, 'forebay_messages_total{action="reject"}') == 2


def test_a_killed_supervisor_ends_the_service_without_cutting_sessions() -> None:
    """New connections are refused, a session that is open is served to its end, and then nobody is left."""
    with milter_service(milter="workers = 2\n") as service:
        service.config.write_text(service.config.read_text().replace("drain_time = 5.0", "drain_time = 600.0"))
        service.reload()
        eventually(lambda: "reloaded: 2 workers" in service.log())
        with service.client() as client:
            assert client.send(EVIL).action is Action.REJECT
            others = [each for group in children(service).values() for each in group]
            os.kill(service.process.pid, signal.SIGKILL)
            service.process.wait(DEADLINE)
            eventually(lambda: is_refused(service))
            assert client.send(EVIL).action is Action.REJECT
        eventually(lambda: all(map(is_gone, others)))
        assert (service.folder / "milter.sock").exists()


def is_refused(service: MilterService) -> bool:
    """Whether a new connection is not taken any more."""
    try:
        with service.client(1.0):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:  # taken by the kernel before the workers heard of it
        return False


@pytest.mark.parametrize("kind", ["forebay-worker", "forebay-templat", "forebay-keeper"])
def test_orders_to_the_whole_group_do_no_harm(kind: str) -> None:
    """SIGTERM, SIGINT and SIGHUP are for the supervisor alone."""
    with milter_service(milter="workers = 1\n") as service:
        assert service.send(EVIL).action is Action.REJECT
        eventually(lambda: kind in children(service))
        (one,) = children(service)[kind]
        for order in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(one, order)
        assert service.send(EVIL).action is Action.REJECT
        assert not is_gone(one)
