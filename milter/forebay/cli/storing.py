"""What the commands on the store have in common: opening it as its owner, who asks, ids and times as people write them."""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from forebay.errors import RightsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.config import Config
    from forebay.store.engine import Store

CONFIG = click.option("--config", "path", metavar="FILE", help="The configuration.")
IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Asker(NamedTuple):
    """Who asks, and from where, for the audit trail."""

    person: str
    origin: str


def open_store(path: str | None) -> tuple[Config, Store, Asker]:
    """The configuration, the store, and who asks. Root becomes the user whom the store's file belongs to.

    Raises RightsError where the file is closed to this user.
    """
    from forebay import config as configuration
    from forebay.store.engine import Store

    config = configuration.load(path)
    asker = asking()
    store = Store.of(config)
    if store.is_sqlite:
        folder = Path(store.where).parent
        _become_owner(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RightsError(f"{folder}: this user may not read the store; ask as root")
    return config, store, asker


def asking() -> Asker:
    """Who has typed this command; under sudo, who became root."""
    return Asker(os.environ.get("SUDO_USER") or _user(), socket.gethostname())


def wanted_ids(ids: Sequence[str]) -> list[str]:
    """The ids that were given, those on standard input in place of -, each once."""
    words = [word for each in ids for word in (sys.stdin.read().split() if each == "-" else [each])]
    return list(dict.fromkeys(words))


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of `2h` (so long ago), or of a date, or of a date and time. Raises UsageError."""
    if text is None:
        return None
    found = _AGO.fullmatch(text)
    if found:
        return time.time() - float(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{text}: write a time as 2h, 3d, 2026-01-31 or 2026-01-31T12:00") from None


def shown_time(at: float) -> str:
    """A time as people here write it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return "?"  # a number that nobody of us has written


def iso(at: float) -> str | None:
    """A time for JSON, or null for none."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else None
    except (ValueError, OverflowError, OSError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _become_owner(folder: Path) -> None:
    try:
        found = folder.stat()
    except OSError as error:
        raise RightsError(f"{folder}: {error.strerror}; has forebay milter run here?") from None
    if os.geteuid() == 0 and found.st_uid:
        os.setgroups([found.st_gid])
        os.setgid(found.st_gid)
        os.setuid(found.st_uid)
