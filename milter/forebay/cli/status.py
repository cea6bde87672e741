"""`forebay status`: how the milter, the sidecar and the quarantine are doing, on one screen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forebay.cli.output import json_line, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@click.command()
@click.option("--config", "path", metavar="FILE", help="The configuration of the service that is asked about.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(path: str | None, as_json: bool) -> int:
    """Show how the milter, the sidecar and the quarantine are doing.

    Exit status 0: it serves, by the configuration that was read last; 75: it starts, reloads, stops, or refused a
    reload; 69: it does not run.
    """
    from forebay import config as configuration
    from forebay.sidecar import statusfile as sidecars
    from forebay.smtp import statusfile

    # A service whose new configuration was refused is asked about with that configuration.
    runtime = Path(configuration.load_understood(path).milter.runtime)
    said = (statusfile.read(runtime) if statusfile.is_live(runtime) else None) or {"state": "not running"}
    beside = sidecars.read(runtime)
    waiting = _quarantine(path)
    if as_json:
        click.echo(json_line({"milter": said} | ({"sidecar": beside} if beside else {}) | {"quarantine": waiting}))
    else:
        rows = [*_rows(said, runtime), *(sidecars.rows(beside) if beside else ()), ("quarantine", _waiting(waiting))]
        click.echo(table(rows))
    if said["state"] == "not running":
        return os.EX_UNAVAILABLE
    return os.EX_OK if said["state"] == "serving" and said["reload"]["ok"] else os.EX_TEMPFAIL


def _quarantine(path: str | None) -> dict[str, Any]:
    """What waits for a person on this host, or why that cannot be told."""
    from forebay.cli.storing import open_store
    from forebay.errors import ForebayError
    from forebay.store import entries, fingerprints
    from forebay.store.engine import host_of
    from forebay.store.schema import KINDS, WAITING

    try:
        config, store, _ = open_store(path)
        with store.read() as db:
            rows = entries.tally(db, entries.Filter(host=host_of(config), states=WAITING))
            known = len(fingerprints.live(db, time.time()))
    except ForebayError as error:
        return {"error": str(error).splitlines()[0]}
    counts: dict[str, Any] = {kind: sum(row[3] for row in rows if row[0] == kind) for kind in KINDS}
    oldest = int(min((row[5] for row in rows), default=0))
    return counts | {"bytes": sum(row[4] for row in rows), "oldest": oldest, "fingerprints": known}


def _waiting(found: Mapping[str, Any]) -> str:
    if "error" in found:
        return f"not to be told: {found['error']}"
    count = found["fingerprints"]
    known = f"{count:,} fingerprint{'' if count == 1 else 's'}"
    if not found["oldest"]:
        return f"nothing waits; {known}"
    waits = f"{found['mta-hold']:,} held by the MTA, {found['spool']:,} set aside"
    return f"{waits}, {found['bytes']:,} bytes, the oldest for {_age(found['oldest'])}; {known}"


def _rows(said: Mapping[str, Any], runtime: Path) -> Iterator[tuple[str, str]]:
    if said["state"] == "not running":
        yield "milter", f"not running (nobody holds {runtime}/milter.lock)"
        return
    yield "milter", f"{said['state']} for {_age(said['since'])}, pid {said['pid']}, forebay {said['version']}"
    yield "listens on", said["listen"]
    yield "metrics", said["metrics"] or "none"
    yield "configuration", f"{said['config']}, preset {said['preset']}, read {_age(said['reload']['at'])} ago"
    if not said["reload"]["ok"]:
        for number, line in enumerate(said["reload"]["error"].splitlines()):
            yield ("reload refused" if number == 0 else ""), line
    draining = f", {said['draining']} draining" if said["draining"] else ""
    yield "workers", f"{said['workers']} of {said['wanted']}{draining}"
    for number, (validator, troubles) in enumerate(said["validators"].items()):
        yield ("in trouble" if number == 0 else ""), f"{validator}: {_troubles(troubles)}"


def _troubles(troubles: Mapping[str, Any]) -> str:
    told = [f"failed {troubles['errors']:,} times"] if troubles["errors"] else []
    told += [f"did not come back {troubles['hangs']:,} times"] if troubles["hangs"] else []
    told += ["is benched"] if troubles["benched"] else []
    return ", ".join(told)


def _age(since: int) -> str:
    seconds = max(0, int(time.time()) - since)
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
