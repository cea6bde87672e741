"""The clerk: two processes beside the sidecar's guard, which wait for the store so that the guard never does.

One of them tells the store what the journal says (entries, strikes, fingerprints of the convicted). The other confirms what the
MTA holds and carries out what people ask for. They run as root, and are the user whom the store belongs to whenever they
use that.

    python -m forebay.sidecar.clerk [--config FILE] [--beside PID]

`forebay sidecar` starts it. It ends with the sidecar, however that ends; a second one waits until the first is gone.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import config as configuration
from forebay import logs, records
from forebay.errors import ForebayError
from forebay.judge import passes
from forebay.logs import LOGGER
from forebay.records import Records
from forebay.sidecar import requests
from forebay.sidecar.adapters import make_adapter
from forebay.sidecar.journal import NAME, Journal
from forebay.sidecar.limits import inotify
from forebay.sidecar.mirror import Mirror
from forebay.sidecar.standing import Standing
from forebay.store import postfix, sendmail
from forebay.store.engine import Store, host_of
from forebay.store.hands import Hands
from forebay.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.config import Config
    from forebay.store.queues import Queue

TURN: Final = 0.02
"""Seconds from a conviction to its publication: what is written meanwhile is told with it."""
_LONGEST_REST: Final = 0.5
"""So often the journal's counter of changes is looked at where the kernel tells of no write."""
_HANDS: Final = 0.5
_LONGEST_DELAY: Final = 5.0
_FIRST_RESTART, _LONGEST_RESTART = 0.2, 60.0
_STEADY: Final = 60.0
_PATIENCE: Final = 10.0
_STEP: Final = 0.2
LOCK: Final = "clerk.lock"
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


class Owner:
    """The user whom the state directory belongs to: nobody can make root write where that user points."""

    def __init__(self, state: Path) -> None:
        found = state.stat()
        self.uid, self.gid = found.st_uid, found.st_gid

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Be that user until the end of the block, if we are root."""
        if os.geteuid() != 0 or not self.uid:
            yield
            return
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)


def make_state(state: Path, user: str) -> None:
    """The milter's state directory, where there is none yet: it belongs to the milter's user, if there is one."""
    with suppress(FileExistsError):
        state.mkdir(mode=0o700, parents=True)
        with suppress(KeyError, PermissionError):
            entry = pwd.getpwnam(user)
            os.chown(state, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def mirror_turns(config: Config) -> Callable[[], None]:
    """What the process does that tells the store what the journal says."""
    state, store = Path(config.milter.state), Store.of(config)
    as_user = Owner(state)
    mirrors: list[Mirror] = []
    standing = Standing(config.private_state)

    def turn() -> None:
        try:
            tell()
        except (ForebayError, OSError) as error:
            standing.note(str(error).partition("\n")[0])
            raise
        if mirrors:
            standing.note()

    def tell() -> None:
        if not mirrors and (config.private_state / NAME).exists():
            adapter, _ = make_adapter(config.router)
            mirrors.append(Mirror(config, Journal(config.private_state), store, adapter, as_user))
        for each in mirrors:
            each.turn()

    return turn


def hands_turns(config: Config) -> Callable[[], None]:
    """What the process does that acts on the hold queue, and waits for Postfix."""
    state, store = Path(config.milter.state), Store.of(config)
    as_user = Owner(state)
    made: list[Hands] = []

    def turn() -> None:
        if not made and (config.private_state / NAME).exists():
            made.append(hands_of(config, store, JournalSpool(Journal(config.private_state)), as_user))
        (made[0] if made else hands_of(config, store, None, as_user)).turn()

    return turn


def until_written(folder: Path) -> Callable[[float], None]:
    """A rest that lasts until something is written in a directory, and so many seconds more; but not for ever."""
    try:
        queue = inotify.open_queue()
        inotify.add(queue, folder, inotify.MODIFY)
    except OSError:
        return time.sleep

    def rest(seconds: float) -> None:
        if select.select([queue], [], [], _LONGEST_REST)[0]:
            time.sleep(seconds)
            inotify.read(queue)

    return rest


def go_on(
    turn: Callable[[], None], interval: float, is_over: Callable[[], bool], rest: Callable[[float], None] = time.sleep
) -> None:
    """Do it again and again; what fails is tried again later and later, and told once a minute."""
    delay, logged = interval, -_LOG_INTERVAL
    while not is_over():
        try:
            turn()
        except (ForebayError, OSError) as error:
            delay = min(_LONGEST_DELAY, delay * 2)
            if time.monotonic() - logged >= _LOG_INTERVAL:
                logged = time.monotonic()
                _log.error("the router is guarded, but the store is not kept: %s", error)
            time.sleep(delay)
        else:
            delay = interval
            rest(interval)


def run(config: Config, parent: int) -> int:
    """Run both processes until SIGTERM or SIGINT, until the sidecar is gone, or until one of them ends.

    `parent` is the sidecar as it names itself: it may be gone before we can ask who it is.
    """
    make_state(Path(config.milter.state), config.milter.user)
    over: list[int] = []
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, _: over.append(number))
    if not _alone(config, lambda: bool(over) or os.getppid() != parent):
        return os.EX_OK
    clerk = os.getpid()
    hands = os.fork()
    if not hands:
        go_on(hands_turns(config), _HANDS, lambda: bool(over) or os.getppid() != clerk)
        os._exit(os.EX_OK)
    ended: list[int] = []

    def is_over() -> bool:
        if os.waitpid(hands, os.WNOHANG)[0]:
            ended.append(hands)
        return bool(over or ended) or os.getppid() != parent

    go_on(mirror_turns(config), TURN, is_over, until_written(config.private_state))
    if ended:
        _log.error("the process that acts on the hold queue has ended")
        return os.EX_SOFTWARE
    os.kill(hands, signal.SIGTERM)
    os.waitpid(hands, 0)
    return os.EX_OK


def _alone(config: Config, is_over: Callable[[], bool]) -> bool:
    """Wait until no other clerk of this host acts; False where that is not wanted any more.

    The lock is kept open by both processes, so that the last of them to end gives it back.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    config.private_state.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(config.private_state / LOCK, flags, 0o600)
    while not is_over():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_STEP)
        else:
            return True
    return False


def hands_of(
    config: Config, store: Store | None = None, spool: JournalSpool | None = None, as_user: object = None
) -> Hands:
    """The hands of this host."""
    state = Path(config.milter.state)
    more: dict[str, object] = {"as_user": as_user} if as_user else {}
    more["offer"] = partial(passes.offer, state)
    return Hands(
        host_of(config), store or Store.of(config), Records(state / records.DIRECTORY), state.stat().st_uid,
        Ledger(config.private_state), queues_of(config), spool, **more,  # type: ignore[arg-type]  # a context, or nothing
    )  # fmt: skip


def queues_of(config: Config) -> dict[str, Queue]:
    """The queues that forebay can act on, by the name of their MTA; each is only used where it holds something."""
    # What a guarded Sendmail is to deliver, it delivers inside its limits.
    own = sendmail.Quarantine(config.quarantine.sendmail, delivers=config.router.adapter != sendmail.NAME)
    return {postfix.NAME: postfix.HoldQueue(config.quarantine.postfix), sendmail.NAME: own}


@contextmanager
def beside(path: str | None) -> Iterator[None]:
    """Run the clerk of this configuration beside the block, again and again with back-off, should it end."""
    over = threading.Event()
    command = (sys.executable, "-m", "forebay.sidecar.clerk", *(("--config", path) if path else ()))
    command += ("--beside", str(os.getpid()))
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        delay = _FIRST_RESTART
        while not over.is_set():
            began = time.monotonic()
            running[:] = [subprocess.Popen(command, stdin=subprocess.DEVNULL)]  # noqa: S603 - forebay itself
            running[0].wait()
            over.wait(delay)
            delay = _FIRST_RESTART if time.monotonic() - began > _STEADY else min(_LONGEST_RESTART, delay * 2)

    thread = threading.Thread(target=keep, name="clerk", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        until = time.monotonic() + _PATIENCE
        while thread.is_alive() and time.monotonic() < until:
            for each in running:  # one that was only just started, too
                each.terminate()
            thread.join(_STEP)


def main() -> int:
    """Run it; the configuration is named as for every command."""
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    config = configuration.load(options.get("--config"))
    logs.set_up(config.log)
    return run(config, int(options.get("--beside", os.getppid())))


if __name__ == "__main__":
    sys.exit(main())
