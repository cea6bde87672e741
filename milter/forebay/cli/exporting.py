"""The bytes of a message that waits on this host, for whoever may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import DataError, InputError, RightsError

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.store.entries import Entry

SUFFIX = ".msg"
"""How the files end that the sidecar has set aside."""


def message(path: str | None, beginning: str) -> bytes:
    """The message of an entry. Raises RightsError without root's rights, DataError where this host does not have it."""
    from forebay import config as configuration
    from forebay.store import entries
    from forebay.store.engine import Store, host_of

    if os.geteuid() != 0:
        raise RightsError("a message is read from the MTA's queue, or beside the spool: ask as root")
    config = configuration.load(path)
    with Store.of(config).read() as db:
        entry = entries.get(db, beginning)
    if entry.host != host_of(config):
        raise DataError(f"{entry.id}: its bytes are on {entry.host}: ask there")
    return _from_spool(config, entry) if entry.kind == "spool" else _from_queue(config, entry)


def _from_queue(config: Config, entry: Entry) -> bytes:
    from forebay.sidecar.clerk import hands_of

    return hands_of(config).message(entry.id)


def _from_spool(config: Config, entry: Entry) -> bytes:
    """Where the row says that the file is does not matter: it is where this host's configuration says."""
    if not entry.id.isalnum():
        raise DataError(f"{entry.id}: this is no id")
    path = Path(config.router.aside_directory, entry.id + SUFFIX)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path}: not a regular file")
        return file.read()
