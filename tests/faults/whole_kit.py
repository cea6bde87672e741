"""The whole system on one machine: Postfix, milter, sidecar, a stand-in router and PostgreSQL, as services that are tended.

Whatever ends is started again, as a service manager does. Spool and state are on a small file system of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # has none

from fleet.postgres_kit import postgres
from forebay.quickstart import private_postfix as postfixes
from forebay.quickstart.debs import unpack
from forebay.quickstart.ports import free_port
from forebay.store.engine import Store
from mta.private_site import CACHE
from mta.quarantine_kit import Desk
from sidecar.conftest import clean_up
from sidecar.sidecar_kit import Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from fleet.postgres_kit import Postgres
    from forebay.quickstart.private_postfix import PrivatePostfix

DISK: Final = "96m"
"""Small enough to be filled."""
WORKERS: Final = 3
_PATIENCE: Final = 60.0
_FOREBAY: Final = (sys.executable, "-c", "from forebay.cli.main import main; main()")

_HAND_OVER: Final = """\
office={office} handed={folder}/handed
id="$1" sender="$2"
shift 2
made="$office/public/in.$$"
{{ echo "from <$sender>" && for each in "$@"; do echo "to <$each>" || exit 75; done && echo env-end && cat; }} >"$made" || exit 75
inode=$(stat -c %i "$made") && [ -n "$inode" ] || exit 75
echo "$id $(date +%s.%N)" >>"$handed" || exit 75
mv "$made" "$office/router/$inode" || exit 75
"""
"""What Postfix delivers with: a file in the router's spool. Each is written down before, with its queue id."""

_POSTFIX: Final = {
    "enable_long_queue_ids": "yes", "minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s", "transport_retry_time": "1s",
    "milter_connect_timeout": "5s", "milter_command_timeout": "10s", "milter_content_timeout": "20s",
}  # fmt: skip


class Service:
    """One program that runs for ever: its command, and the process that it is now."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._command, self._log, self._environment = command, log, environment

    @property
    def pid(self) -> int:
        """Of its first process; 0 while there is none."""
        return self.process.pid if self.process and self.process.poll() is None else 0

    def tend(self) -> None:
        """Start it if it does not run."""
        if not self.pid:
            self.starts += 1
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
                )

    def end(self) -> None:
        """End it for good."""
        if self.process and self.pid:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()

    def children(self, name: str) -> list[int]:
        """The pids of its descendants with a name like this."""
        if not self.pid:
            return []
        try:
            return [each.pid for each in psutil.Process(self.pid).children(recursive=True) if _is_named(each, name)]
        except psutil.Error:
            return []


class Whole:
    """All of it. `disk` is the small file system that has `site`: spool, state, journal and configuration."""

    def __init__(self, folder: Path, server: Postgres, jumping_clock: Path) -> None:
        self.folder, self.disk, self.server = folder, folder / "disk", server
        self.is_server_wanted = True
        self.jump = folder / "jump"
        self.jump.write_bytes(bytes(8))
        self.site = site = Site(self.disk / "host", "new", WORKERS, **_settings(folder, server))
        site.router_options = ["--die-with-parent"]
        site.delivered_file, site.log_file = folder / "routed", folder / "sidecar.log"
        site.delivered_file.touch()
        self.handed = folder / "handed"
        self.handed.touch()
        for each in (site.office, site.office / "public", site.queue, self.handed):
            each.chmod(0o777)
        self.tree = unpack("postfix", CACHE)
        self.config = site.write_config()
        tools = postfixes.PrivatePostfix(self.tree, folder, {}).environment
        tools |= {"PATH": f"{self.tree / 'usr/sbin'}:{tools['PATH']}", "STANDIN_TMP": str(site.office / "public")}
        jumpy = {"LD_PRELOAD": str(jumping_clock), "CLOCK_JUMP": str(self.jump)}
        self.milter = self._service("milter", ("milter", "--config", str(self.config)), jumpy)
        self.sidecar = self._service("sidecar", ("sidecar", "--config", str(self.config)), tools | jumpy)
        launch = ("sidecar", "--config", str(self.config), "--launch", "--", *site.command)
        self.router = self._service("router", launch, tools)
        self.postfix: PrivatePostfix | None = None
        self.postfix_starts = 0
        self.desk = Desk(self.config, {**os.environ, **tools})

    def _service(self, name: str, words: tuple[str, ...], more: dict[str, str]) -> Service:
        return Service(name, (*_FOREBAY, *words), self.folder / f"{name}.log", {**os.environ, **more})

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that are started by a command."""
        return self.milter, self.sidecar, self.router

    def tend(self) -> None:
        """Start what has ended."""
        if self.is_server_wanted and not self.server.is_alive:
            self.server.stop()
            self.server.start()
        for each in self.services:
            each.tend()
        if self.postfix is None or not self.postfix.is_alive:
            self.stop_postfix()
            self.postfix_starts += 1
            postfix = postfixes.PrivatePostfix(self.tree, self.folder, self._postfix_settings)
            postfix.port = self.port
            postfix.start()
            self.postfix = postfix

    def postfix_children(self, name: str) -> list[int]:
        """The pids of Postfix's processes with this name."""
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.name() == name and str(self.tree) in each.exe():
                    found += [each.pid] if str(self.folder) in each.cwd() else []
        return found

    def stop_postfix(self) -> None:
        """End all of it, whatever is left."""
        if self.postfix:
            self.postfix.stop()

    def start(self) -> None:
        """Start everything, and wait until it works."""
        self.port = free_port()
        self._postfix_settings = _POSTFIX | {"smtpd_milters": f"unix:{self.folder}/milter.sock"}
        for each in self.services:
            each.tend()
        self.await_all()
        self.tend()

    def await_all(self) -> None:
        """Wait until every service says of itself that it works."""
        until = time.monotonic() + _PATIENCE
        while not self.is_well():
            assert time.monotonic() < until, (self.site.status(), self.told())
            self.tend()  # what was killed just before may not have been gone yet
            time.sleep(0.1)

    def is_well(self) -> bool:
        """Whether the sidecar guards all workers, and the milter takes connections."""
        said = self.site.status() or {}
        guards = (
            said.get("pid") == self.sidecar.pid and said.get("state") == "guarding" and said.get("workers") == WORKERS
        )
        return guards and len(self.milter.children("forebay-worker")) >= 2 and (self.folder / "milter.sock").exists()

    def end(self) -> None:
        """End everything, the router last."""
        self.stop_postfix()
        for each in self.services:
            each.end()

    def told(self) -> str:
        """What they have said last."""
        said = [f"-- {each.name}, pid {each.pid}:\n{self._tail(each.name)}" for each in self.services]
        return "\n".join([*said, "-- processes:", *map(_described, processes_below(self.router.pid))])

    def _tail(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text("utf-8", "replace")[-3000:] if path.exists() else ""


@contextmanager
def whole(patch: pytest.MonkeyPatch, disk: str = DISK) -> Iterator[Whole]:
    """Run it until the end of the block; `disk` is the size of all that it writes to, in memory."""
    with ExitStack() as stack:
        folder = stack.enter_context(postfixes.private_folder())
        server = stack.enter_context(postgres())
        store = Store(server.url, migrate=True)
        store.open()
        store.close()
        (folder / "disk").mkdir()
        subprocess.run(
            ("mount", "-t", "tmpfs", "-o", f"size={disk},mode=0755", "tmpfs", str(folder / "disk")), check=True
        )
        stack.callback(subprocess.run, ("umount", "--lazy", str(folder / "disk")), check=True)
        (folder / "disk/host").mkdir()
        arguments = "${{queue_id}} ${{sender}} ${{recipient}}"
        patch.setattr(postfixes, "MASTER_CF", postfixes.MASTER_CF.replace("${{queue_id}}", arguments))
        patch.setattr(postfixes, "DELIVER", _HAND_OVER.replace("{office}", str(folder / "disk/host/spool")))
        running = Whole(folder, server, _compiled(folder))
        stack.callback(clean_up, running.site.root)
        stack.callback(running.end)
        running.start()
        yield running


def processes_below(pid: int) -> list[psutil.Process]:
    """A process and its descendants."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except (psutil.Error, ValueError):
        return []


def _described(process: psutil.Process) -> str:
    """What a process is doing."""
    with suppress(psutil.Error, OSError):
        limits = {name: process.rlimit(getattr(psutil, f"RLIMIT_{name}"))[0] for name in ("NOFILE", "AS", "FSIZE")}
        groups = Path(f"/proc/{process.pid}/cgroup").read_text().replace("\n", " ")
        waits = Path(f"/proc/{process.pid}/wchan").read_text()
        return f"{process.pid} {process.status()} {waits} {process.cpu_times()[:2]} {limits} {groups}"
    return f"{process.pid} has gone"


def _settings(folder: Path, server: Postgres) -> dict[str, object]:
    return {
        "milter.listen": f"unix:{folder}/milter.sock", "milter.metrics": "", "milter.workers": 2, "milter.user": "",
        "milter.socket_group": "", "milter.socket_mode": "0666", "milter.hostname": "mx.example.org",
        "milter.drain_time": 5.0, "milter.hang_time": 10.0, "store.url": server.url, "store.host": "a",
        "sidecar.set_aside_max": 0, "fingerprints.additions_per_hour": 0, "quarantine.postfix": f"{folder}/etc",
    }  # fmt: skip


def _compiled(folder: Path) -> Path:
    """The clock that jumps."""
    library = folder / "jumping_clock.so"
    source = Path(__file__).with_name("jumping_clock.c")
    subprocess.run(("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)), check=True)
    return library


def _is_named(process: psutil.Process, name: str) -> bool:
    try:
        return name[:15] in process.name() or name in " ".join(process.cmdline())
    except psutil.Error:
        return False


def free_bytes(folder: Path) -> int:
    """How many bytes are left on the small file system."""
    return shutil.disk_usage(folder).free
