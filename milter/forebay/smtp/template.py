"""A template: one process for each configuration that is loaded. It holds the judge, and forks the workers.

It becomes the unprivileged user before it imports a plugin. Each worker is forked twice over, so that its parent is
the supervisor (which adopts orphans): the end of a template, by whatever cause, leaves its workers as they are, and
the supervisor starts another one of the same configuration.
"""

from __future__ import annotations

import gc
import os
import pwd
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from forebay.errors import ConfigError, ForebayError, RightsError
from forebay.smtp import processes
from forebay.smtp.channel import Channel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from forebay.config import Config
    from forebay.judge.fingerprints import Matcher
    from forebay.judge.runner import Judge
    from forebay.smtp.page import Page

    Load = Callable[[Config], tuple[Judge, Matcher]]


COLLECT_AFTER: Final = 20_000
"""Objects that a worker makes, and keeps, before it looks for circles among them."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What the supervisor hands down to every process: the page, and the socket that MTAs connect to."""

    page: Page
    listening: socket.socket


def run(config: Config, load: Load, estate: Estate, channel: Channel) -> None:
    """Load, say so, and fork a worker whenever the supervisor asks, until the line to it ends."""
    prepared = prepare(config, load, channel)
    if prepared is None:
        return
    judge, matcher = prepared
    while (order := channel.receive()) is not None:
        if order.verb == "fork":
            line, trace = order.descriptors
            _fork_worker(partial(_work, config, judge, matcher), estate, order.given["slot"], line, trace)
            os.close(line)
            os.close(trace)


def prepare(config: Config, load: Load, channel: Channel) -> tuple[Judge, Matcher] | None:
    """Load everything as the unprivileged user, and say that it is done; or say what is wrong, and return None."""
    try:
        become(config.milter.user)
        judge, matcher = load(config)
        from forebay.smtp import desk, libmilter, worker  # noqa: F401, PLC0415 - imported once, for all workers

        libmilter.require()
    except ConfigError as error:
        channel.send("failed", source=error.source, mistakes=[[each.place, each.text] for each in error.mistakes])
        return None
    except ForebayError as error:
        channel.send("failed", text=str(error), exit_code=error.exit_code)
        return None
    gc.collect()
    gc.freeze()  # what is shared stays shared: the collector writes to what it looks at
    gc.set_threshold(COLLECT_AFTER)  # a message makes no circles; an exception or a plugin may
    channel.send("ready")
    return judge, matcher


def become(user: str) -> None:
    """Drop root's privileges for good, capabilities too. Nothing happens without a name, or when not started as root.

    Raises RightsError where there is no such user, or the kernel refuses.
    """
    if not user or os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise RightsError(f"milter.user: there is no user {user!r}; make it, or name another one") from None
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    processes.gain_nothing_more()


def _fork_worker(
    work: Callable[[Estate, int, int, int], None], estate: Estate, slot: int, line: int, trace: int
) -> None:
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    try:
        processes.fork(lambda: work(estate, slot, line, trace), _keep(estate, line, trace), "forebay-worker")
    finally:
        os._exit(os.EX_OK)


def _work(config: Config, judge: Judge, matcher: Matcher, estate: Estate, slot: int, line: int, trace: int) -> None:
    from forebay.smtp.desk import Desk  # noqa: PLC0415 - see run
    from forebay.smtp.worker import Place, Worker  # noqa: PLC0415 - see run

    place = Place(slot, estate.page, estate.listening, Channel.of(line), trace)
    Worker(config.milter, judge, Desk(config, matcher), place).run()


def _keep(estate: Estate, *others: int) -> tuple[int, ...]:
    return (estate.listening.fileno(), *others)
