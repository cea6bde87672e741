"""An upgrade of an installed forebay, under load: wheels in environments of their own, and no session lost."""

from __future__ import annotations

import json
import os
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from forebay.api import ACCEPT
from forebay.quickstart.private_postfix import private_folder
from forebay.testing import milter_service
from mta import wheels
from mta.milter_load import KINDS, Load
from mta.private_site import DEADLINE, eventually, processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forebay.testing import MilterService

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
MESSAGES = 50_000 if LONG else 400
OLD, NEW = "0.0.1", "0.0.2"
SWITCHES = (NEW, OLD, NEW) if LONG else (NEW,)
GOOD = KINDS[ACCEPT]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for both versions."""
    with private_folder() as place:
        yield place


@pytest.fixture(scope="module")
def old(folder: Path) -> Path:
    """The wheel of the version that runs."""
    return wheels.wheel(folder, OLD)


@pytest.fixture(scope="module")
def new(folder: Path) -> Path:
    """The wheel of the version that comes."""
    return wheels.wheel(folder, NEW)


@contextmanager
def running(forebay: Path) -> Iterator[MilterService]:
    """A milter of that program whose sessions get a minute to end, since the machine may be busy."""
    with milter_service(program=(str(forebay),)) as service:
        service.config.write_text(service.config.read_text().replace("drain_time = 5.0", "drain_time = 60.0"))
        service.reload()
        eventually(lambda: "reloaded: " in service.log(), service.log)
        yield service


def health(service: MilterService) -> dict[str, Any]:
    """What /healthz says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/healthz", timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def upgrade(service: MilterService) -> None:
    """Send SIGHUP, and wait until the new version serves."""
    before = service.log().count("serving: ")
    service.reload()
    eventually(lambda: service.log().count("serving: ") > before, service.log)


def assert_taken_over(service: MilterService, pid: int, load: Load) -> None:
    """The same process is the new version now; nobody lost a session or was refused, and every verdict was right."""
    assert (load.lost, load.wrong, load.refused) == ([], [], 0)
    told = health(service)
    assert (told["version"], told["pid"], service.process.poll()) == (NEW, pid, None)
    assert f'forebay_build_info{{version="{NEW}"}}' in service.metrics()
    eventually(lambda: len(processes(service, "worker")) == told["wanted"])


def test_a_link_that_is_switched_is_an_upgrade(folder: Path, old: Path, new: Path) -> None:
    """One environment a version and a link to the one in use, as the guide has it, switched under load."""
    for version, built in ((OLD, old), (NEW, new)):
        wheels.environment(folder / version, built)
    link = folder / "current"
    link.symlink_to(OLD)
    with running(link / "bin/forebay") as service:
        pid = service.process.pid
        assert health(service)["version"] == OLD

        def switch() -> None:
            for version in SWITCHES:
                (folder / "next").symlink_to(version)
                (folder / "next").rename(link)
                upgrade(service)
                assert health(service)["version"] == version

        load = Load().run(service, MESSAGES, switch)
        assert load.answered >= MESSAGES
        assert_taken_over(service, pid, load)


def test_a_new_version_in_the_place_of_the_old_one(folder: Path, old: Path, new: Path) -> None:
    """Files are replaced below a running service; a session that is open all the time ends well."""
    forebay = wheels.environment(folder / "one", old)
    with running(forebay) as service, service.client() as open_all_the_time:
        pid = service.process.pid

        def replace() -> None:
            wheels.install(folder / "one", new)
            upgrade(service)

        load = Load().run(service, MESSAGES // 2, replace)
        assert open_all_the_time.send(GOOD).action is ACCEPT
        open_all_the_time.close()
        assert_taken_over(service, pid, load)


def test_a_version_that_cannot_start_takes_nothing_over(folder: Path, old: Path) -> None:
    """What it says is in the log; the old one serves on, and takes the next reload as ever."""
    forebay = wheels.environment(folder / "broken", old)
    with running(forebay) as service:
        (module,) = (folder / "broken").glob("lib/python*/site-packages/forebay_validators/dates.py")
        (metadata,) = (folder / "broken").glob("lib/python*/site-packages/forebay-*.dist-info")
        right = module.read_bytes()
        module.write_bytes(b"raise OSError('of another version')\n")
        away = metadata.rename(metadata.with_name("away"))
        service.reload()
        eventually(lambda: "reload: refused" in service.log(), service.log)
        assert "the version that is installed does not start" in service.log()
        assert health(service)["state"] == "serving"
        away.rename(metadata)
        module.write_bytes(right)
        service.reload()
        eventually(lambda: service.log().count("reloaded: ") == 2, service.log)


def test_a_stop_after_an_upgrade_waits_for_the_sessions_of_before(folder: Path, old: Path, new: Path) -> None:
    """The workers of the old version are the new one's to wait for."""
    forebay = wheels.environment(folder / "stop", old)
    with running(forebay) as service, service.client() as session:
        assert session.send(GOOD).action is ACCEPT
        wheels.install(folder / "stop", new)
        upgrade(service)
        service.process.terminate()
        eventually(lambda: "SIGTERM: stopping" in service.log(), service.log)
        assert session.send(GOOD).action is ACCEPT
        session.close()
        assert service.process.wait(DEADLINE) == 0
