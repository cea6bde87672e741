"""`forebay quarantine`: what waits for a person, and what becomes of it."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from forebay.cli.output import colours, json_line, printable
from forebay.cli.storing import CONFIG, IDS, JSON, asking, moment, open_store, wanted_ids
from forebay.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_SECONDS = 10.0
"""So long a command waits for the outcome of what it has asked for."""
DIGEST_ENTRIES = 10
_SORTS = ("at", "size", "sender", "reason", "host", "client")
_STATES = ("announced", "held", "vanished", "released", "deleted")


@click.group()
def quarantine() -> None:
    """List, show, release and delete what waits for a person. An ID may be shortened; - reads ids from standard input."""


@quarantine.command("list")
@CONFIG
@JSON
@click.option("--since", metavar="TIME", help="Not before: 2h, 3d, 2026-01-31 or 2026-01-31T12:00.")
@click.option("--until", metavar="TIME", help="Before.")
@click.option("--validator", metavar="ID", default="", help="One that found something.")
@click.option("--cause", metavar="CAUSE", default="", help="The reason: a validator, or what a router died of.")
@click.option("--client", metavar="PART", default="", help="A part of the client's address.")
@click.option("--sender", metavar="PART", default="", help="A part of the envelope sender.")
@click.option("--recipient", metavar="PART", default="", help="A part of an envelope recipient.")
@click.option("--fingerprint", metavar="DIGEST", default="", help="The beginning of a fingerprint.")
@click.option("--host", metavar="NAME", default="", help="The host that holds it.")
@click.option("--kind", type=click.Choice(("mta-hold", "spool")), default=None, help="Where its bytes are.")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Its state; those that wait without."
)
@click.option("--all", "everything", is_flag=True, help="Whatever its state.")
@click.option("--sort", type=click.Choice(_SORTS), default="at", help="What to sort by.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 100_000), default=100, help="Entries of a page.", show_default=True
)
@click.option("--page", metavar="N", type=click.IntRange(1), default=1, help="Which page.", show_default=True)
def list_(  # noqa: PLR0913, PLR0917 - one parameter for each option
    path: str | None, as_json: bool, since: str | None, until: str | None, validator: str, cause: str, client: str,
    sender: str, recipient: str, fingerprint: str, host: str, kind: str | None, states: tuple[str, ...],
    everything: bool, sort: str, reverse: bool, limit: int, page: int,
) -> None:  # fmt: skip
    """Show entries, the oldest first."""
    from forebay.cli import entries as shown
    from forebay.store import entries

    wanted = entries.Filter(
        since=moment(since), until=moment(until), validator=validator, cause=cause, client=client, sender=sender,
        recipient=recipient, fingerprint=fingerprint.lower(), host=host, kind=kind or "",
        states=_STATES if everything else states or ("announced", "held"),
    )  # fmt: skip
    _, store, _ = open_store(path)
    with store.read() as db:
        found = entries.find(db, wanted, entries.Page(sort, reverse, limit + 1, limit * (page - 1)))
    more, found = len(found) > limit, found[:limit]
    if as_json:
        click.echo("".join(json_line(shown.as_json(each)) + "\n" for each in found), nl=False)
        return
    click.echo(shown.rows(found) if found else "nothing waits" if page == 1 else "no more")
    if more:
        click.echo(f"there are more: --page {page + 1}", err=True)


@quarantine.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@IDS
def show(path: str | None, as_json: bool, ids: tuple[str, ...]) -> None:
    """Show everything that is known of entries: the header with the offending bytes marked, the reason, the evidence."""
    from forebay.cli import entries as shown
    from forebay.store import entries

    config, store, _ = open_store(path)
    with store.read() as db:
        found = [entries.get(db, each) for each in wanted_ids(ids)]
        details = [entries.detail(db, each.id) for each in found]
    if as_json:
        for entry, detail in zip(found, details, strict=True):
            click.echo(json_line(shown.detail_as_json(entry, detail)))
        return
    from forebay.judge.discovery import discover

    rfcs = {each.id: each.cls.spec.rfc for each in discover(config.plugins.directory, config.milter.user)[0]}
    coloured = colours(sys.stdout)
    texts = [shown.words(entry, detail, rfcs, coloured=coloured) for entry, detail in zip(found, details, strict=True)]
    click.echo("\n".join(texts), nl=False)


@quarantine.command()
@CONFIG
@click.argument("id_", metavar="ID")
@click.argument("text")
def note(path: str | None, id_: str, text: str) -> None:
    """Write down something about an entry."""
    from forebay.store import changes, entries

    _, store, asker = open_store(path)
    with store.write() as db:
        entry = entries.get(db, id_)
        changes.add_note(db, entry, asker.person, asker.origin, text)


@quarantine.command()
@CONFIG
@click.option("--host", metavar="NAME", default="", help="Only what this host holds.")
@click.option("--mail", "address", metavar="ADDRESS", default="", help="Mail it there, if anything waits.")
def digest(path: str | None, host: str, address: str) -> None:
    """Write the text of a daily mail to the postmaster: how much waits, since when, and why."""
    from forebay.cli import entries as shown
    from forebay.cli.mailing import mail
    from forebay.store import entries

    config, store, _ = open_store(path)
    wanted = entries.Filter(host=host)
    with store.read() as db:
        tallies = entries.tally(db, wanted)
        oldest = entries.find(db, wanted, entries.Page(limit=DIGEST_ENTRIES))
    where = host or (config.milter.hostname if store.is_sqlite else "all hosts")
    text = shown.digest(tallies, oldest, where)
    if not address:
        click.echo(text, nl=False)
    elif tallies:
        mail(address, f"forebay: what waits in the quarantine of {printable(where)}", text)


@quarantine.command()
@CONFIG
@IDS
def release(path: str | None, ids: tuple[str, ...]) -> int:
    """Put messages back on their way. The host that holds them does it; this command waits for it."""
    return _request(path, "release", ids)


@quarantine.command()
@CONFIG
@click.option("--yes", is_flag=True, help="Do not ask.")
@IDS
def delete(path: str | None, yes: bool, ids: tuple[str, ...]) -> int:
    """Remove messages for good."""
    words = wanted_ids(ids)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {len(words)} {'message' if len(words) == 1 else 'messages'} for good?", abort=True)
    return _request(path, "delete", words)


@quarantine.command()
@CONFIG
@click.argument("id_", metavar="ID")
def export(path: str | None, id_: str) -> None:
    """Write the raw message to standard output. Only on the host that holds it, as root."""
    from forebay.cli import exporting

    if sys.stdout.isatty():
        raise DataError("a message is not written to a terminal, which would obey it; write it into a file")
    sys.stdout.buffer.write(exporting.message(path, id_))


def _request(path: str | None, verb: str, ids: Sequence[str]) -> int:
    """Ask for it, wait a little, and tell what became of it."""
    from forebay.cli import spooled

    words = wanted_ids(ids)
    here = spooled.known(path, words)
    failed = spooled.request(path, verb, here, asking().person) if here else 0
    failed += _request_by_store(path, verb, [each for each in words if each not in here])
    return os.EX_TEMPFAIL if failed else os.EX_OK


def _request_by_store(path: str | None, verb: str, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    from forebay.store import entries, requests

    _, store, asker = open_store(path)
    with store.write() as db:
        found = [entries.get(db, each) for each in ids]
        asked = {requests.ask(db, each, verb, asker.person, asker.origin): each for each in found}
    until = time.monotonic() + WAIT_SECONDS
    outcomes: dict[int, str] = {}
    while len(outcomes) < len(asked):
        with store.read() as db:
            outcomes = requests.outcomes(db, asked)
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    failed = 0
    for number, entry in asked.items():
        outcome = outcomes.get(number)
        failed += outcome != requests.DONE
        told = outcome or f"asked for; the sidecar of {entry.host} has not answered yet"
        click.echo(printable(f"{entry.id}: {told}"))
    return failed
