"""A small router for the show: two workers that take files from a directory, and die of many brackets as old ones do.

Run as a program of its own, by the sidecar: `python demo_router.py SPOOL DELIVERED`.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

WORKERS = 2
BYTES_A_PAIR = 3
"""What a real one was measured to take for each pair of syntax errors in one address field."""


def route(path: Path, delivered: Path) -> None:
    """Parse, then deliver; a file that another worker has is left to it."""
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            header = file.read().partition(b"\n\n")[0]
            diagram = bytearray(BYTES_A_PAIR * header.count(b"[") ** 2)
            diagram[::4096] = b"\1" * len(diagram[::4096])
            path.rename(delivered / path.name)


def work(spool: Path, delivered: Path) -> None:
    """Take what there is, for ever."""
    while True:
        for path in sorted(each for each in spool.iterdir() if each.is_file()):
            if path.name.startswith("."):  # it is not whole yet
                continue
            with suppress(OSError):
                route(path, delivered)
        time.sleep(0.1)


def main() -> None:
    """Keep the workers alive."""
    spool, delivered = map(Path, sys.argv[1:3])
    alive: set[int] = set()
    while True:
        while len(alive) < WORKERS:
            pid = os.fork()
            if pid == 0:
                work(spool, delivered)
            alive.add(pid)
        alive.discard(os.wait()[0])
        time.sleep(0.5)


if __name__ == "__main__":
    main()
