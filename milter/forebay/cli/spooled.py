"""What lies beside a router's spool of this very host: its sidecar's journal is asked at once, without the store.

A live sidecar carries it out; where none lives, the command does it itself, under the sidecar's lock.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forebay.config import Config
    from forebay.sidecar.journal import Journal

_WAIT_SECONDS = 10.0


def known(path: str | None, ids: Iterable[str]) -> list[str]:
    """Those ids that this host's own journal knows, in full; nothing where there is none, or it is closed to us."""
    from forebay import config as configuration
    from forebay.sidecar.clerk import Owner
    from forebay.sidecar.journal import NAME, Journal

    state = configuration.load(path).private_state
    if not os.access(state / NAME, os.R_OK | os.W_OK):
        return []
    with Owner(state)():
        journal = Journal(state)
        try:
            return [each for each in ids if journal.entry(each)]
        finally:
            journal.close()


def request(path: str | None, kind: str, ids: Sequence[str], person: str) -> int:
    """Ask the live sidecar, and wait for the outcomes; how many were not carried out."""
    from forebay import config as configuration
    from forebay.sidecar.clerk import Owner

    config = configuration.load(path)
    with Owner(config.private_state)():
        return _request(path, config, kind, ids, person)


def _request(path: str | None, config: Config, kind: str, ids: Sequence[str], person: str) -> int:
    from forebay.sidecar import requests
    from forebay.sidecar.journal import Journal

    journal = Journal(config.private_state)
    asked = {requests.ask(journal, kind, each, person): each for each in ids}
    until = time.monotonic() + _WAIT_SECONDS
    failed = 0
    for number, entry in asked.items():
        while not (outcome := journal.outcome(number)) and time.monotonic() < until:
            if not _carry_out_here(path, config, journal):
                time.sleep(0.1)
        click.echo(f"{entry}: {outcome or 'asked for; the sidecar has not answered yet'}")
        failed += outcome != requests.DONE
    return failed


def _carry_out_here(path: str | None, config: Config, journal: Journal) -> bool:
    from forebay.cli.sidecar import load
    from forebay.errors import UnavailableError
    from forebay.sidecar import requests, statusfile
    from forebay.sidecar.aside import Aside

    try:
        held = statusfile.lock(config.private_state)
    except UnavailableError:
        return False
    try:
        adapter = load(path)[1]
        aside = Aside(journal, adapter, config.router.aside_directory, lambda _: None)
        requests.carry_out(journal, aside, config.router.limits.strikes, lambda: journal.keep("fuse", "0 0"))
    finally:
        statusfile.unlock(held)
    return True
