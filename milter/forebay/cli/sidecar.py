"""`forebay sidecar`: guards a router, in the foreground."""

from __future__ import annotations

import getpass
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from forebay.errors import ConfigError, Mistake, RightsError

if TYPE_CHECKING:
    from forebay.api.router import Adapter
    from forebay.config import Config


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--config", "path", metavar="FILE", help="The configuration.")
@click.option("--launch", is_flag=True, help="Only execute COMMAND in the router's group, for its own unit.")
@click.option("--reset-fuse", is_flag=True, help="Say that the router is well again.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
def sidecar(path: str | None, launch: bool, reset_fuse: bool, command: tuple[str, ...]) -> int:
    """Guard a router until SIGTERM or SIGINT; with COMMAND, start it inside the limits, and again when it ends."""
    import asyncio

    from forebay import logs
    from forebay.sidecar import clerk
    from forebay.sidecar.service import Service

    config, adapter = load(path, command)
    if reset_fuse:
        return _reset(config)
    if launch:
        return _launch(config, adapter, command)
    logs.set_up(config.log)
    command = command or config.router.command
    service = Service(config, adapter, command, version("forebay"))
    with clerk.beside(path):
        asyncio.run(service.run())
    return 0


def load(path: str | None, command: tuple[str, ...] = ()) -> tuple[Config, Adapter]:
    """The configuration and the adapter that it names. Raises ConfigError with every mistake."""
    from forebay import config as configuration
    from forebay.sidecar.adapters import check_site

    found: list[Adapter] = []

    def also(config: Config) -> list[Mistake]:
        adapter, mistakes = check_site(config, command)
        if adapter:
            found.append(adapter)
        return mistakes

    config = configuration.load(path, also)
    return config, found[0]


def _launch(config: Config, adapter: Adapter, command: tuple[str, ...]) -> int:
    from forebay.sidecar import enforce, spawn

    command = command or config.router.command
    if not command:
        raise ConfigError(config.source, [Mistake("router.command", "write the program to start")])
    limit = config.router.limits.file_size
    try:
        spawn.become(
            command, lambda: enforce.move_into_router(config.router.cgroup, config.milter.state),
            limit or adapter.file_size,
        )  # fmt: skip
    except OSError as error:
        raise RightsError(f"cannot start {command[0]} in the router's group: {error}") from None
    return 0


def _reset(config: Config) -> int:
    from forebay.sidecar import requests
    from forebay.sidecar.clerk import Owner
    from forebay.sidecar.journal import Journal

    person = getpass.getuser()
    with Owner(config.private_state)():
        requests.ask(Journal(config.private_state), requests.RESET, "", person)
    return 0
