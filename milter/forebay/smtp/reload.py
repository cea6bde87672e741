"""What a new configuration may change, how many workers it means, and what a template says of one that fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from forebay.errors import ConfigError, ForebayError, Mistake

if TYPE_CHECKING:
    from forebay.config import Config, Milter
    from forebay.smtp.channel import Message

STAYS: Final = ("listen", "metrics", "user", "socket_group", "socket_mode", "state", "runtime")
"""Settings of [milter] that hold from the start to the stop: sockets, rights and directories are had only once."""
PER_CPU: Final = 2
"""Workers for each CPU: Python threads of one process take turns, so more processes than CPUs pay."""


def refuse_what_stays(old: Config, new: Config) -> None:
    """Raise ConfigError for each setting that only a restart can change."""
    changed = [each for each in STAYS if getattr(old.milter, each) != getattr(new.milter, each)]
    if changed:
        text = "a reload cannot change this; restart the service, or put the old value back"
        raise ConfigError(new.source, [Mistake(f"milter.{each}", text) for each in changed])


def concerns_keeper(old: Config, new: Config) -> bool:
    """Whether the keeper goes by something that is another now."""
    return (old.store, old.quarantine, old.fingerprints) != (new.store, new.quarantine, new.fingerprints)


def worker_count(settings: Milter) -> int:
    """How many workers to run."""
    return settings.workers or max(2, PER_CPU * len(os.sched_getaffinity(0)))


def error_of(message: Message) -> ForebayError:
    """The error that a template has met."""
    if "mistakes" in message.given:
        return ConfigError(message.given["source"], [Mistake(*each) for each in message.given["mistakes"]])
    error = ForebayError(message.given["text"])
    error.exit_code = message.given["exit_code"]
    return error
