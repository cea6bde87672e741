"""A PostgreSQL of our own: the machine's program, or one unpacked from Debian's package, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]  # has none
import psycopg

from forebay.quickstart.debs import library_path, unpack
from forebay.quickstart.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
OWNER: Final = "nobody"
"""PostgreSQL does not run as root."""


class Postgres:
    """One server; `url` is where it is, as SQLAlchemy writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._bin, self._environment = _programs()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database `forebay`."""
        return f"postgresql+psycopg://forebay@127.0.0.1:{self.port}/forebay"

    @property
    def dsn(self) -> str:
        """The same for psycopg."""
        return f"postgresql://forebay@127.0.0.1:{self.port}/forebay"

    @property
    def is_alive(self) -> bool:
        """Whether its first process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._process
        return self._process.pid

    def pids(self) -> list[int]:
        """Of all of its processes."""
        return [self.pid, *(each.pid for each in psutil.Process(self.pid).children())]

    @property
    def _maintenance(self) -> str:
        return f"postgresql://forebay@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make the cluster, start it, and make the database."""
        if os.geteuid() == 0:
            account = pwd.getpwnam(OWNER)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "forebay", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"
        )
        self.start()
        with psycopg.connect(self._maintenance, autocommit=True) as connection:
            connection.execute("CREATE DATABASE forebay")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
                 "-c", "shared_buffers=16MB"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=self._environment, **_as_owner(),
            )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._maintenance, connect_timeout=5).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it and all connections to it (SIGINT: fast shutdown)."""
        process, self._process = self._process, None
        if process:
            process.send_signal(number)
            process.wait(60)

    def cut(self) -> None:
        """End every connection but our own."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'forebay'"
            )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            env=self._environment,
            **_as_owner(),
        )


@contextmanager
def postgres(disk: Callable[[Path], AbstractContextManager[Path]] = nullcontext) -> Iterator[Postgres]:
    """Run one until the end of the block; `disk` makes a place for it below a folder that is there."""
    folder = Path(tempfile.mkdtemp(prefix="forebay-pg-", dir="/tmp"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        place = stack.enter_context(disk(folder / "disk"))
        place.mkdir(exist_ok=True)
        server = Postgres(place)
        stack.callback(lambda: server.stop(signal.SIGQUIT))
        server.make()
        yield server


def _programs() -> tuple[Path, dict[str, str]]:
    environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C"}
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent, environment
    tree = unpack("postgresql-15", ROOT / ".cache")
    return tree / "usr/lib/postgresql/15/bin", environment | {"LD_LIBRARY_PATH": library_path(tree)}


def _as_owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(OWNER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
