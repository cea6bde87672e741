"""`forebay milter`: the service at SMTP time, in the foreground."""

from __future__ import annotations

from importlib.metadata import version

import click

from forebay.errors import ConfigError


@click.command()
@click.option("--config", "path", metavar="FILE", help="The configuration.")
def milter(path: str | None) -> int:
    """Run the milter until SIGTERM or SIGINT. SIGHUP reads the configuration again, without losing a session."""
    from forebay import config as configuration
    from forebay import logs
    from forebay.judge.fingerprints import load_judge_and_matcher
    from forebay.judge.load import load
    from forebay.smtp import supervisor

    try:
        settings = configuration.load(path)
    except ConfigError:
        load(path)  # finds the mistakes in plugins and options too, and raises all together
        raise
    logs.set_up(settings.log)
    return supervisor.run(settings, lambda: configuration.load(path), load_judge_and_matcher, version("forebay"))
