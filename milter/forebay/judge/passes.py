"""Passes: what a person has released is let through once by every door of this host that would hold it again.

A released message may meet the gate of a router here, and milter and gate of the next host. The milter here it meets no
more if the MTA has held it (Postfix and Sendmail show it no message that they have let go), but it may if it comes from
a router's spool and is sent on by way of this MTA. The store names what was released: the entry, its
host, and the exact fingerprint that the host's own record has of it. Each host lays out an empty file for each door;
whoever takes it renames it, which only one can. Nothing in a message is a pass.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DIRECTORY: Final = "passes"
SMTP, SPOOL = "smtp", "spool"
"""The doors: the milter, and the gate with whatever else takes messages out of a spool."""
_USED: Final = "used"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def take(state: Path, door: str, digest: bytes | None) -> str:
    """Use the pass that a message with this exact fingerprint has at a door: the id of its entry, else nothing."""
    folder = state / DIRECTORY
    for name in _names(folder) if digest else ():
        exact, entry, where = _parts(name)
        if digest and exact == digest.hex() and where == door and _use(folder, name):
            return entry
    return ""


def renew(state: Path, released: Iterable[tuple[str, str, bool]]) -> None:
    """Lay out what is not there yet of these, and remove the rest. Raises OSError.

    `released` are exact fingerprints and entries, and whether the milter of this host meets them no more.
    """
    folder = state / DIRECTORY
    wanted = {
        f"{exact}.{entry}.{door}" for exact, entry, is_past_milter in released
        for door in ((SPOOL,) if is_past_milter else (SMTP, SPOOL))
    }  # fmt: skip
    laid, used = _names(folder), _names(folder / _USED)  # in this order: what is taken meanwhile is seen in one of them
    for name in wanted - laid - used:
        _lay(folder, name)
    for name in laid - wanted:
        (folder / name).unlink(missing_ok=True)
    for name in used - wanted:
        (folder / _USED / name).unlink(missing_ok=True)


def offer(state: Path, exact: str, entry: str) -> None:
    """Lay out the pass of one that this host releases now. Raises OSError."""
    _lay(state / DIRECTORY, f"{exact}.{entry}.{SPOOL}")


def _use(folder: Path, name: str) -> bool:
    """Whether the pass was ours to take. The sidecar is root: no link leads it out of the directory."""
    with ExitStack() as stack, suppress(OSError):
        places: list[int] = []
        for each in (folder, folder / _USED):
            places.append(os.open(each.name, _FOLDER, dir_fd=places[0]) if places else os.open(each, _FOLDER))
            stack.callback(os.close, places[-1])
        os.rename(name, name, src_dir_fd=places[0], dst_dir_fd=places[1])
        return True
    return False


def _lay(folder: Path, name: str) -> None:
    for each in (folder, folder / _USED):
        with suppress(FileExistsError):
            each.mkdir(0o700)
    os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _names(folder: Path) -> set[str]:
    with suppress(OSError):
        return set(os.listdir(folder)) - {_USED}  # noqa: PTH208 - names are wanted, not paths
    return set()


def _parts(name: str) -> tuple[str, str, str]:
    exact, _, rest = name.partition(".")
    entry, _, door = rest.partition(".")
    return exact, entry, door
