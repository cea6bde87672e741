"""`forebay quarantine`: what was set aside, and what becomes of it."""

from __future__ import annotations

import getpass
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forebay.errors import DataError, InputError, UnavailableError

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.sidecar.journal import Entry, Journal

_WAIT_SECONDS = 10.0
_CONFIG = click.option("--config", "path", metavar="FILE", help="The configuration.")
_IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group()
def quarantine() -> None:
    """List, release and delete what was set aside. An ID may be shortened; - reads ids from standard input."""


@quarantine.command("list")
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--all", "everything", is_flag=True, help="Released and deleted ones too.")
def list_(path: str | None, as_json: bool, everything: bool) -> None:
    """Show the entries, the oldest first."""
    from forebay.cli.output import json_line, table

    journal = _journal(path)[1]
    entries = journal.entries(*(() if everything else ("intended", "aside", "releasing", "deleting")))
    if as_json:
        for entry in entries:
            print(json_line(_described(entry)))
        return
    rows = [("ID", "STATE", "CAUSE", "CONFIDENCE", "SIZE", "SINCE", "FROM")]
    for each in entries:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.at))
        rows.append((each.id, each.state, each.cause, each.confidence, f"{each.size:,}", since, each.original))
    print(table(rows) if entries else "nothing is set aside")


@quarantine.command()
@_CONFIG
@_IDS
def show(path: str | None, ids: tuple[str, ...]) -> None:
    """Show the evidence of entries, as JSON."""
    journal = _journal(path)[1]
    for entry in _entries(journal, ids):
        print(json.dumps(_described(entry) | {"evidence": json.loads(entry.evidence)}, indent=2))


@quarantine.command()
@_CONFIG
@_IDS
def release(path: str | None, ids: tuple[str, ...]) -> int:
    """Put messages back where the router takes them up. One more strike, and they are set aside again."""
    return _request(path, "release", ids)


@quarantine.command()
@_CONFIG
@click.option("--yes", is_flag=True, help="Do not ask.")
@_IDS
def delete(path: str | None, yes: bool, ids: tuple[str, ...]) -> int:
    """Remove messages for good."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {len(ids)} message(s) for good?", abort=True)
    return _request(path, "delete", ids)


def _request(path: str | None, kind: str, ids: tuple[str, ...]) -> int:
    """Ask the live sidecar, and wait for the outcome; where none lives, do it here, under its lock."""
    from forebay.sidecar import requests

    config, journal = _journal(path)
    entries = _entries(journal, ids)
    asked = {requests.ask(journal, kind, entry.id, getpass.getuser()): entry for entry in entries}
    until = time.monotonic() + _WAIT_SECONDS
    failed = 0
    for number, entry in asked.items():
        while not (outcome := journal.outcome(number)) and time.monotonic() < until:
            if not _carry_out_here(path, config, journal):
                time.sleep(0.1)
        print(f"{entry.id}: {outcome or 'asked for; the sidecar has not answered yet'}")
        failed += outcome != requests.DONE
    return 75 if failed else 0


def _carry_out_here(path: str | None, config: Config, journal: Journal) -> bool:
    from forebay.cli.sidecar import load
    from forebay.sidecar import requests, statusfile
    from forebay.sidecar.aside import Aside

    try:
        held = statusfile.lock(Path(config.milter.state))
    except UnavailableError:
        return False
    try:
        adapter = load(path)[1]
        aside = Aside(journal, adapter, config.router.aside_directory, lambda _: None)
        requests.carry_out(
            journal, aside, config.router.limits.strikes, lambda: journal.keep("fuse", "0 0")
        )
    finally:
        statusfile.unlock(held)
    return True


def _journal(path: str | None) -> tuple[Config, Journal]:
    from forebay.cli.sidecar import load
    from forebay.sidecar.journal import NAME, Journal

    config = load(path)[0]
    state = Path(config.milter.state)
    if not (state / NAME).exists():
        raise InputError(f"{state / NAME}: no such file; no sidecar has run here yet")
    return config, Journal(state)


def _entries(journal: Journal, ids: tuple[str, ...]) -> list[Entry]:
    wanted = [word for each in ids for word in (sys.stdin.read().split() if each == "-" else [each])]
    known, found = journal.entries(), []
    for each in wanted:
        match = [entry for entry in known if entry.id.startswith(each)]
        if len(match) != 1:
            raise DataError(f"{each}: {'several entries begin so' if match else 'no such entry'}")
        found += match
    return found


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "cause": entry.cause,
        "confidence": entry.confidence,
        "size": entry.size,
        "since": int(entry.at),
        "original": entry.original,
        "aside": entry.aside,
        "exact": entry.exact.hex() if entry.exact else None,
        "shape": entry.shape.hex() if entry.shape else None,
    }
