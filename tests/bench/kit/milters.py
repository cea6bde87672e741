"""The milters that are compared, each run until the end of a block: forebay, and two that do nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.testing import milter_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HERE: Final = Path(__file__).parent
_START_TIME: Final = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """Where it listens, and its first process."""

    path: str
    pid: int


@contextmanager
def forebay(workers: int, more: str = "") -> Iterator[Running]:
    """All default validators; `more` are further lines of the section `[milter]`."""
    with milter_service(milter=f"workers = {workers}\n{more}") as service:
        _await_workers(service.process.pid, workers)
        yield Running(service.address.removeprefix("unix:"), service.process.pid)


@contextmanager
def in_python(workers: int) -> Iterator[Running]:
    """On pymilter, doing nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        with _process([sys.executable, str(_HERE / "do_nothing.py"), path, str(workers)], path) as pid:
            yield Running(path, pid)


@contextmanager
def in_c() -> Iterator[Running]:
    """On libmilter, doing nothing; compiled now."""
    with tempfile.TemporaryDirectory() as folder:
        path, program = f"{folder}/s", f"{folder}/do_nothing"
        source = str(_HERE / "do_nothing.c")
        subprocess.run(["cc", "-O2", "-o", program, source, "-lmilter", "-lpthread"], check=True)
        with _process([program, f"unix:{path}"], path) as pid:
            yield Running(path, pid)


@contextmanager
def _process(command: Sequence[str], path: str) -> Iterator[int]:
    with subprocess.Popen(command) as process:
        try:
            until = time.monotonic() + _START_TIME
            while not Path(path).exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise ChildProcessError(f"{command[0]} did not start")
                time.sleep(0.02)
            time.sleep(0.2)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_workers(pid: int, workers: int) -> None:
    """Until all workers are there, so that their CPU time is counted."""
    until = time.monotonic() + _START_TIME
    while time.monotonic() < until:
        names = (each.read_text().strip() for each in Path("/proc").glob(f"{pid}/task/*/children"))
        children = " ".join(names).split()
        if sum(_name(child) == "forebay-worker" for child in children) >= workers:
            return
        time.sleep(0.05)


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
