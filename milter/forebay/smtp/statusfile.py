"""What the supervisor says of itself to `forebay status` and /healthz: a small file, and a lock beside it.

The supervisor holds the lock as long as it lives, so that a file left behind by a dead one is recognised.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forebay import files
from forebay.errors import FileError, RightsError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "milter.json"
LOCK: Final = "milter.lock"


def lock(runtime: Path) -> int:
    """Take the lock, and keep its descriptor open. Raises UnavailableError where a live supervisor has it."""
    try:
        descriptor = os.open(runtime / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except PermissionError:
        raise RightsError(f"milter.runtime: {runtime}: this user may not write there") from None
    except OSError as error:
        raise FileError(f"milter.runtime: {runtime}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UnavailableError(
            f"milter.runtime: {runtime} is already served by another forebay milter; end that one first"
        ) from None
    return descriptor


def is_live(runtime: Path) -> bool:
    """Whether a supervisor holds the lock."""
    try:
        descriptor = os.open(runtime / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def write(runtime: Path, status: dict[str, Any]) -> None:
    """Replace the file as a whole. A full disk must not stop the mail, so nothing is raised."""
    with suppress(OSError):
        files.replace(runtime / NAME, json.dumps(status).encode("ascii") + b"\n", 0o644)


def read(runtime: Path) -> dict[str, Any] | None:
    """What the file says, or None where there is none."""
    try:
        found = json.loads((runtime / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
