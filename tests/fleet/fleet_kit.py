"""A host of a fleet: its own milter, spool, stand-in router and sidecar, and one store for all hosts."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.sidecar import standing
from forebay.testing import MilterService, milter_service
from mta.quarantine_kit import Desk
from sidecar.conftest import clean_up
from sidecar.sidecar_kit import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forebay.testing.message import Message
    from forebay.testing.milter_client import Answer

DEADLINE: Final = 180.0
"""A router that dies again and again is started later and later."""
TAG_ALL: Final = '[policy.actions]\n"*" = "tag"\n'
"""What lets a killer through, so that it reaches the router."""


@dataclass(frozen=True, slots=True)
class Host:
    """One of them. `site` is the router's side, `milter` the SMTP side."""

    name: str
    site: Site
    milter: MilterService
    desk: Desk

    def answer(self, message: Message) -> Answer:
        """What the milter says of a message."""
        return self.milter.send(message)

    def moment_of_hold(self, message: Message) -> float:
        """Offer a message again and again until it is held; when that was, in seconds since 1970."""
        until = time.monotonic() + DEADLINE
        with self.milter.client() as client:
            while client.send(message).action.word != "quarantine":
                assert time.monotonic() < until, self.milter.log()
                time.sleep(0.01)
        return time.time()


@contextmanager
def host(
    name: str, root: Path, url: str = "", style: str = "new", *, router: bool = True, policy: str = TAG_ALL,
    door: bool = False, own_unit: bool = False,
) -> Iterator[Host]:  # fmt: skip
    """Run one until the end of the block. With a `door`, its router has a gate: the directory `door` in `root`.

    With `own_unit` the router is started beside the sidecar, which may be killed and started again (`wrap=False`).
    """
    shared = f'{policy}\n[store]\nurl = "{url}"\nhost = "{name}"\n[fingerprints]\nadditions_per_hour = 0\n'
    with ExitStack() as stack:
        milter = stack.enter_context(milter_service(shared, milter='workers = 2\nsocket_mode = "0666"\n'))
        stack.callback(_end, milter)
        root.mkdir()
        settings: dict[str, object] = {
            "store.host": name, "store.url": url, "sidecar.set_aside_max": 0, "fingerprints.additions_per_hour": 0,
            "milter.hostname": "mx.example.org",
        }  # fmt: skip
        site = Site(root, style, 2, **settings)
        shutil.rmtree(root / "state")
        (root / "state").symlink_to(milter.folder / "state")  # one state directory for all services of a host
        if not router:
            site.settings |= {"router.adapter": "none", "router.spool": []}
        if door:
            (root / "door").mkdir()
            site.settings["router.input"] = [str(root / "door")]
        if own_unit:
            site.launch_router()
            assert site.router
            stack.callback(site.router.wait, 30)
        stack.callback(clean_up, root)
        site.start(wrap=router and not own_unit)
        stack.callback(_stop, site)
        desk = Desk(site.write_config(), dict(os.environ))
        _await_store(milter, site)
        yield Host(name, site, milter, desk)


def _await_store(milter: MilterService, site: Site) -> None:
    """Wait until both services say that they keep the store: mail is judged and the router guarded before that."""
    until = time.monotonic() + DEADLINE

    def keeps() -> bool:
        told = milter.metrics()
        return (
            told.get("forebay_store_up", 0.0) == 1
            and told.get("forebay_fingerprint_snapshot_timestamp_seconds", 0.0) > 0
            and (site.status() or {}).get("store") == standing.KEPT
        )

    while not keeps():
        assert time.monotonic() < until, (milter.log(), site.log(), site.status())
        time.sleep(0.1)


def _end(milter: MilterService) -> None:
    """End the milter that runs now, which may not be the one that was started first."""
    if milter.process.poll() is None:
        milter.process.terminate()
        milter.process.wait(30)


def _stop(site: Site) -> None:
    site.stop()
