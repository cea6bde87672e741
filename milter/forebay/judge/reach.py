"""How many recipients of otherwise good mail an exact fingerprint has matched on this host, counted by all workers together.

A directory for each fingerprint, with an empty file for each recipient: made first, counted then, so that of any
number of workers no more than so many see a count below the bound. Nothing has to be locked, and nothing is lost when
a worker is killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

DIRECTORY: Final = "reached"


class Reach:
    """Counts recipients below the state directory; where that cannot be written, in this process alone."""

    def __init__(self, state: Path, most: int) -> None:
        self._folder = state / DIRECTORY
        self._most = most
        self._seen: dict[bytes, set[str]] = {}
        self._told: set[bytes] = set()
        self._lock = threading.Lock()  # a worker has many threads

    def is_beyond(self, digest: bytes, recipients: Iterable[bytes]) -> bool:
        """Count these recipients; whether there are more than `most` by now. Never with `most` 0."""
        if not self._most:
            return False
        with self._lock:
            seen = self._seen.setdefault(digest, set())
            for each in recipients:
                if len(seen) > self._most:
                    break
                seen.add(hashlib.blake2b(each.lower(), digest_size=16).hexdigest())
            if len(seen) <= self._most:
                seen.update(self._shared(digest, seen))
            return len(seen) > self._most

    def is_news(self, digest: bytes) -> bool:
        """Whether nobody in this process was told yet that it is beyond."""
        with self._lock:
            is_new = digest not in self._told
            self._told.add(digest)
            return is_new

    def forget_others(self, digests: Collection[bytes]) -> None:
        """Forget, in this process, what is counted of other fingerprints than these."""
        with self._lock:
            for each in self._seen.keys() - digests:
                del self._seen[each]
            self._told &= self._seen.keys()

    def _shared(self, digest: bytes, mine: Iterable[str]) -> list[str]:
        folder = self._folder / digest.hex()
        with suppress(OSError):
            for each in (self._folder, folder):
                with suppress(FileExistsError):
                    each.mkdir(0o700)
            for name in mine:
                os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            return os.listdir(folder)[: self._most + 1]  # noqa: PTH208 - names are wanted, not paths
        return []


def forget(state: Path, digest: bytes) -> None:
    """Begin anew with a fingerprint: all workers count from nothing. Nothing is raised."""
    shutil.rmtree(state / DIRECTORY / digest.hex(), ignore_errors=True)


def counted(state: Path) -> list[bytes]:
    """The fingerprints that something is counted of."""
    found = []
    with suppress(OSError):
        for each in os.listdir(state / DIRECTORY):  # noqa: PTH208 - names are wanted, not paths
            with suppress(ValueError):  # what somebody else has put there
                found.append(bytes.fromhex(each))
    return found
