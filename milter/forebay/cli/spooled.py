"""What lies beside a router's spool of this very host: its sidecar's journal is asked at once, without the store.

A live sidecar carries it out; where none lives, the command does it itself, under the sidecar's lock.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from forebay import config as configuration
from forebay.cli.sidecar import load
from forebay.errors import UnavailableError
from forebay.sidecar import requests, statusfile
from forebay.sidecar.aside import Aside
from forebay.sidecar.clerk import Owner
from forebay.sidecar.journal import NAME, Journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forebay.api.router import Adapter
    from forebay.config import Config

_WAIT_SECONDS = 10.0


def known(path: str | None, ids: Iterable[str]) -> list[str]:
    """Those ids that this host's own journal knows, in full; nothing where there is none, or it is closed to us."""
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
    config, adapter = load(path)
    # Nothing is imported from here on: the journal's user may not be able to read where we are installed.
    with Owner(config.private_state)():
        journal = Journal(config.private_state)
        asked = {requests.ask(journal, kind, each, person): each for each in ids}
        until = time.monotonic() + _WAIT_SECONDS
        failed = 0
        for number, entry in asked.items():
            while not (outcome := journal.outcome(number)) and time.monotonic() < until:
                if not _carry_out_here(config, adapter, journal):
                    time.sleep(0.1)
            click.echo(f"{entry}: {outcome or 'asked for; the sidecar has not answered yet'}")
            failed += outcome != requests.DONE
    return failed


def _carry_out_here(config: Config, adapter: Adapter, journal: Journal) -> bool:
    try:
        held = statusfile.lock(config.private_state)
    except UnavailableError:
        return False
    try:
        aside = Aside(journal, adapter, config.router.aside_directory, lambda _: None)
        requests.carry_out(journal, aside, config.router.limits.strikes, lambda: journal.keep("fuse", "0 0"))
    finally:
        statusfile.unlock(held)
    return True
