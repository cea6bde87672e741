"""What the sidecar says of itself to `forebay status`: a small file, and a lock beside it that it holds for life."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forebay.errors import FileError, RightsError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "sidecar.json"
LOCK: Final = "sidecar.lock"


def lock(state: Path) -> int:
    """Take the lock, and keep its descriptor. Raises UnavailableError where a live sidecar has it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise RightsError(f"milter.state: {state}: this user may not write there") from None
    except OSError as error:
        raise FileError(f"milter.state: {state}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UnavailableError(
            f"milter.state: {state} is served by another forebay sidecar; end that one first"
        ) from None
    return descriptor


def unlock(descriptor: int) -> None:
    """Give the lock back."""
    os.close(descriptor)


def write(runtime: Path, status: dict[str, Any]) -> None:
    """Replace the file as a whole; nothing is raised."""
    new = runtime / f".{NAME}.new"
    with suppress(OSError):
        new.write_text(json.dumps(status) + "\n", "ascii")
        new.chmod(0o644)
        new.replace(runtime / NAME)


def read(runtime: Path) -> dict[str, Any] | None:
    """What the file says, or None where there is none."""
    try:
        found = json.loads((runtime / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
