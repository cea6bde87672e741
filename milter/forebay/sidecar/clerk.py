"""The clerk: a process beside the sidecar's guard, which waits for the store so that the guard never does.

It tells the store what the journal says (entries, strikes, fingerprints of the convicted), confirms what the MTA holds,
and carries out what people ask for. It runs as root, and is the user whom the store belongs to whenever it uses that.

    python -m forebay.sidecar.clerk --config FILE
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import config as configuration
from forebay import logs, records
from forebay.errors import ForebayError
from forebay.logs import LOGGER
from forebay.records import Records
from forebay.sidecar import requests
from forebay.sidecar.adapters import make_adapter
from forebay.sidecar.journal import NAME, Journal
from forebay.sidecar.mirror import Mirror
from forebay.store.engine import Store, host_of
from forebay.store.hands import Hands
from forebay.store.ledger import Ledger
from forebay.store.postfix import HoldQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.config import Config

TURN: Final = 0.02
"""Seconds between two looks at the journal's counter of changes: from a conviction to its publication."""
_HANDS: Final = 0.25
_LONGEST_DELAY: Final = 5.0
_LOG_INTERVAL: Final = 60.0
_log = logging.getLogger(LOGGER)


class JournalSpool:
    """What is asked for of the spool's quarantine goes into the journal; the guard carries it out."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._asked: dict[tuple[str, str], int] = {}

    def act(self, entry: str, verb: str, person: str) -> str:
        """Ask, once; then the outcome, as soon as there is one."""
        if self._journal.entry(entry) is None:
            return "this host knows of no such message"
        number = self._asked.get((entry, verb))
        if number is None:
            number = self._asked[entry, verb] = requests.ask(self._journal, verb, entry, person)
        outcome = self._journal.outcome(number)
        if outcome:
            del self._asked[entry, verb]
        return outcome


class Clerk:
    """Runs for the life of the sidecar."""

    def __init__(self, config: Config) -> None:
        self._state = Path(config.milter.state)
        self._config = config
        self._owner = self._state.stat()
        self._store = Store.of(config)
        self._journal: Journal | None = None
        self._mirror: Mirror | None = None
        self._hands: Hands | None = None
        self._hands_at = 0.0
        self._logged = 0.0
        self._over = False

    def run(self) -> None:
        """Go on until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        delay = TURN
        while not self._over:
            try:
                self._turn()
                delay = TURN
            except (ForebayError, OSError) as error:
                delay = min(_LONGEST_DELAY, delay * 2)
                if time.monotonic() - self._logged >= _LOG_INTERVAL:
                    self._logged = time.monotonic()
                    _log.error("the router is guarded, but the store is not kept: %s", error)
            time.sleep(delay)

    def _turn(self) -> None:
        if self._journal is None and (self._state / NAME).exists():
            self._journal = Journal(self._state)
            adapter, _ = make_adapter(self._config.router, ())
            self._mirror = Mirror(self._config, self._journal, self._store, adapter, self._as_user)
            self._hands = None
        if self._mirror:
            self._mirror.turn()
        if time.monotonic() >= self._hands_at:
            if self._hands is None:
                spool = JournalSpool(self._journal) if self._journal else None
                self._hands = hands_of(self._config, self._store, spool, self._as_user)
            self._hands.turn()
            self._hands_at = time.monotonic() + _HANDS

    @contextmanager
    def _as_user(self) -> Iterator[None]:
        """As the user whom the state directory belongs to: nobody can make root write where that user points."""
        if os.geteuid() != 0 or not self._owner.st_uid:
            yield
            return
        os.setegid(self._owner.st_gid)
        os.seteuid(self._owner.st_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def _stop(self, *_: object) -> None:
        self._over = True


def hands_of(
    config: Config, store: Store | None = None, spool: JournalSpool | None = None, as_user: object = None
) -> Hands:
    """The hands of this host."""
    state = Path(config.milter.state)
    more = {"as_user": as_user} if as_user else {}
    return Hands(
        host_of(config), store or Store.of(config), Records(state / records.DIRECTORY), state.stat().st_uid,
        Ledger(state), HoldQueue(config.quarantine.postfix), spool, **more,  # type: ignore[arg-type]  # a context, or nothing
    )  # fmt: skip


def main() -> int:
    """Run it; the configuration is named as for every command."""
    arguments = sys.argv[1:]
    path = arguments[1] if arguments[:1] == ["--config"] and len(arguments) == 2 else None
    config = configuration.load(path)
    logs.set_up(config.log)
    Clerk(config).run()
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
