"""`forebay sidecar`: guards a router, in the foreground."""

from __future__ import annotations

import getpass
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from forebay.errors import ConfigError, ForebayError, Mistake, RightsError

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
    from forebay import logs

    if launch:
        return _launch(path, command)
    config, adapter = load(path, command)
    if reset_fuse:
        return _reset(config)
    from forebay.cli.guarding import Guarding
    from forebay.sidecar.service import Service

    logs.set_up(config.log)
    starts = command or config.router.command
    service = Service(config, adapter, starts, version("forebay"))
    Guarding(service, lambda: _check_anew(path, command)).run(path)
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


def _check_anew(path: str | None, command: tuple[str, ...]) -> None:
    """Whether the sidecar may begin anew. Raises ForebayError where not."""
    config, _ = load(path, command)
    if command or config.router.command:
        raise ForebayError("the router is a child of the sidecar: to begin anew would end it; restart both")


def _launch(path: str | None, command: tuple[str, ...]) -> int:
    """Become COMMAND, in the router's group. A mistake of forebay's keeps no router from starting: it is told."""
    from forebay.cli.output import error_line
    from forebay.sidecar import enforce, spawn

    file_size = 0
    try:
        config, adapter = load(path, command)
        command = command or config.router.command
        file_size = config.router.limits.file_size or adapter.file_size
        enforce.move_into_router(config.router.cgroup, config.milter.state)
    except (ForebayError, OSError) as error:
        if not command:
            raise
        error_line(f"{error}\n{command[0]} is started outside the router's group, where nothing limits it")
    if not command:
        raise ConfigError(config.source, [Mistake("router.command", "write the program to start")])
    try:
        spawn.become(command, lambda: None, spawn.Heritage(file_size))
    except OSError as error:
        raise RightsError(f"cannot start {command[0]}: {error.strerror}") from None
    return 0


def _reset(config: Config) -> int:
    from forebay.sidecar import requests
    from forebay.sidecar.clerk import Owner
    from forebay.sidecar.journal import Journal

    person = getpass.getuser()
    with Owner(config.private_state)():
        requests.ask(Journal(config.private_state), requests.RESET, "", person)
    return 0
