"""`forebay store`: the database itself."""

from __future__ import annotations

import click

from forebay.cli.storing import CONFIG


@click.group()
def store() -> None:
    """Bring the store up to date. An SQLite store brings itself up to date."""


@store.command()
@CONFIG
def migrate(path: str | None) -> None:
    """Bring the store to the version of this program. On PostgreSQL, stop older versions of forebay first."""
    from forebay import config as configuration
    from forebay.cli.storing import open_store
    from forebay.store.engine import Store, url_of
    from forebay.store.schema import HEAD

    config = configuration.load(path)
    if Store.of(config).is_sqlite:
        open_store(path)  # as its owner
    found = Store(url_of(config), migrate=True)
    found.open()
    found.close()
    click.echo(f"{found.where} is of version {HEAD}")
