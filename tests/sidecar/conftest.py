"""A site for each test, and nothing of it left."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.sidecar.limits import cgroup
from sidecar.sidecar_kit import Site, groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def site_root() -> Iterator[Path]:
    """A directory that every user may pass through: pytest closes its own, whenever it starts anywhere on the machine."""
    with tempfile.TemporaryDirectory(prefix="forebay-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)
        yield Path(root)


@pytest.fixture
def sites(site_root: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites; ends their sidecars and routers afterwards, and removes their groups."""
    made: list[Site] = []

    def make(style: str = "open", workers: int = 4, **settings: object) -> Site:
        site = Site(site_root, style, workers, **settings)
        made.append(site)
        return site

    yield make
    for site in made:
        # A router that ignores SIGTERM takes its ten seconds: where groups tell who is left, nobody waits for that.
        polled = site.settings.get("sidecar.limits") == "rlimit"
        with suppress(ProcessLookupError):
            site.stop(signal.SIGTERM if polled else signal.SIGKILL)
    clean_up(site_root)
    for site in made:
        if site.router:
            site.router.wait(10)


def clean_up(root: Path) -> None:
    """End what is left in the groups of a site's sidecar, and remove them."""
    for base in groups(root):
        for _ in range(50):
            leaves = [each for each in base.glob("*/") if each.is_dir()]
            for group in (*leaves, base):
                for pid in cgroup.pids(group):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                cgroup.remove(group)
            if not base.is_dir():
                break
