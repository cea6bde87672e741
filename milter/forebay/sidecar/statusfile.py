"""What the sidecar says of itself to `forebay status`: a small file, and a lock beside it that it holds for life."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forebay import files
from forebay.api.process import is_alive
from forebay.errors import FileError, RightsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "sidecar.json"
LOCK: Final = "sidecar.lock"


def lock(state: Path) -> int:
    """Take the lock, and keep its descriptor. Raises UnavailableError where a live sidecar has it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.check_own_directory(state)
        descriptor = files.open_own(state / LOCK)
    except PermissionError as error:
        raise RightsError(f"sidecar.state: {state}: {error.strerror}") from None
    except OSError as error:
        raise FileError(f"sidecar.state: {state}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UnavailableError(
            f"sidecar.state: {state} is served by another forebay sidecar; end that one first"
        ) from None
    return descriptor


def unlock(descriptor: int) -> None:
    """Give the lock back."""
    os.close(descriptor)


def write(runtime: Path, status: dict[str, Any]) -> None:
    """Replace the file as a whole; nothing is raised."""
    with suppress(OSError):
        files.replace(runtime / NAME, json.dumps(status).encode("ascii") + b"\n", 0o644)


def read(runtime: Path) -> dict[str, Any] | None:
    """What the file says, or None where there is none; of a sidecar that is gone, that it does not run."""
    try:
        found = json.loads((runtime / NAME).read_bytes())
        if is_alive(int(found["pid"]), int(found["started"])):
            return dict(found)
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return {"state": "not running"}


def rows(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the file says, line by line, for people."""
    if said["state"] == "not running":
        yield "sidecar", "not running"
        return
    yield "sidecar", f"{said['state']}, pid {said['pid']}, mode {said['mode']}"
    gate = "with a gate" if said["gate"] else "no gate: mail written straight into the spool meets no validator"
    yield "router", f"{said['adapter']}, {said['workers']} workers, {said['spool']} messages; {gate}"
    yield "limits", f"{said['limits']}: {said['memory'] >> 20} of {said['memory_limit'] >> 20} MiB"
    yield "claims", ", ".join(said["claims"])
    yield "set aside", f"{said['aside']}, and {said['withheld']} withheld"
    if "store" in said:  # the sidecar may be of the version before
        yield "store", said["store"]
    if said["fuse_blown_since"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["fuse_blown_since"]))
        yield "fuse", f"blown since {since}: nothing is moved; forebay sidecar --reset-fuse when the router is well"
    for line in said["lacking"]:
        yield "lacking", line
