"""`forebay fingerprints`: what is known of mail that kills routers."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from forebay.cli.output import json_line, printable, table
from forebay.cli.storing import CONFIG, JSON, iso, open_store, shown_time, wanted_ids
from forebay.errors import DataError

if TYPE_CHECKING:
    from forebay.store.fingerprints import Fingerprint

_DIGESTS = click.argument("digests", nargs=-1, required=True, metavar="DIGEST...")


@click.group()
def fingerprints() -> None:
    """List, show, add and revoke fingerprints. A DIGEST may be shortened; - reads them from standard input."""


@fingerprints.command("list")
@CONFIG
@JSON
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones too.")
def list_(path: str | None, as_json: bool, everything: bool) -> None:
    """Show the fingerprints, the oldest first."""
    from forebay.store import fingerprints as known

    _, store, _ = open_store(path)
    with store.read() as db:
        found = known.listed(db, everything=everything)
    if as_json:
        click.echo("".join(json_line(_as_json(each)) + "\n" for each in found), nl=False)
        return
    head = ("DIGEST", "KIND", "STATE", "CAUSE", "HOST", "SINCE", "EXPIRES", "HITS")
    lines = [
        (
            each.digest,
            each.kind,
            _state(each),
            each.cause,
            each.host,
            shown_time(each.made),
            shown_time(each.expires),
            f"{each.hits:,}",
        )
        for each in found
    ]
    click.echo(table([head, *lines]) if found else "no fingerprints")


@fingerprints.command()
@CONFIG
@JSON
@_DIGESTS
def show(path: str | None, as_json: bool, digests: tuple[str, ...]) -> None:
    """Show everything that is known of fingerprints, and the entries that they match."""
    from forebay.cli import entries as shown
    from forebay.store import entries
    from forebay.store import fingerprints as known
    from forebay.store.schema import STATES

    _, store, _ = open_store(path)
    for word in wanted_ids(digests):
        with store.read() as db:
            found = known.get(db, word.lower())
            alike = entries.find(db, entries.Filter(fingerprint=found.digest, states=STATES), entries.Page(limit=20))
        if as_json:
            click.echo(json_line(_as_json(found) | {"entries": [each.id for each in alike]}))
            continue
        facts = [(name, "" if value is None else str(value)) for name, value in _as_json(found).items()]
        click.echo(table(facts) + "\n")
        if alike:
            click.echo(shown.rows(alike) + "\n")


@fingerprints.command()
@CONFIG
@click.option(
    "--kind", type=click.Choice(("exact", "shape")), default="shape", show_default=True, help="What DIGEST is of."
)
@click.option("--entry", "id_", metavar="ID", default="", help="Take the digest of this kind of a quarantine entry.")
@click.option("--note", "text", metavar="TEXT", default="", help="Why.")
@click.argument("digest", required=False, default="")
def add(path: str | None, kind: str, id_: str, text: str, digest: str) -> None:
    """Have mail with this fingerprint stopped at every host, as if it had killed a router."""
    from forebay.store import entries
    from forebay.store import fingerprints as known
    from forebay.store.engine import host_of

    config, store, asker = open_store(path)
    with store.write() as db:
        if id_:
            digest = getattr(entries.get(db, id_), kind)
            if not digest:
                raise DataError(f"{id_}: this entry has no {kind} fingerprint")
        if not re.fullmatch(r"[0-9a-f]{32}", digest):
            raise DataError("write the 32 hexadecimal digits of a fingerprint, or --entry ID")
        new = known.New(digest, kind, "added", host_of(config), entry=id_, person=asker.person, note=text)
        known.publish(db, new, config.fingerprints.expiry, 0)
    click.echo(f"{digest}: added until {shown_time(time.time() + config.fingerprints.expiry)}")


@fingerprints.command()
@CONFIG
@click.option("--note", "text", metavar="TEXT", default="", help="Why.")
@_DIGESTS
def revoke(path: str | None, text: str, digests: tuple[str, ...]) -> None:
    """Let mail with these fingerprints pass again, at every host."""
    from forebay.store import fingerprints as known

    _, store, asker = open_store(path)
    for word in wanted_ids(digests):
        with store.write() as db:
            found = known.get(db, word.lower())
            known.revoke(db, found.digest, asker.person, asker.origin, text)
        click.echo(printable(f"{found.digest}: revoked"))


def _state(found: Fingerprint) -> str:
    return "expired" if found.state == "live" and found.expires <= time.time() else found.state


def _as_json(found: Fingerprint) -> dict[str, object]:
    return {
        "digest": found.digest,
        "kind": found.kind,
        "state": _state(found),
        "cause": found.cause,
        "host": found.host,
        "person": printable(found.person),
        "entry": found.entry or None,
        "made": iso(found.made),
        "expires": iso(found.expires),
        "hits": found.hits,
        "last_hit": iso(found.last_hit),
        "note": found.note,
    }
