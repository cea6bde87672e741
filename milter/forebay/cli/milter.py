"""`forebay milter`: the service at SMTP time, in the foreground."""

from __future__ import annotations

from importlib.metadata import version

import click

from forebay.errors import ConfigError


@click.command()
@click.option("--config", "path", metavar="FILE", help="The configuration.")
@click.option("--dry-run", is_flag=True, help="Only load everything, and say what is wrong.")
def milter(path: str | None, dry_run: bool) -> int:
    """Run the milter until SIGTERM or SIGINT. SIGHUP reads the configuration again, without losing a session.

    Where another version of forebay has been installed meanwhile, SIGHUP makes the service go on as that one.
    """
    from forebay import config as configuration
    from forebay import logs
    from forebay.judge.fingerprints import load_judge_and_matcher
    from forebay.judge.load import load
    from forebay.smtp import rehearsal, supervisor

    try:
        settings = configuration.load(path)
    except ConfigError:
        load(path)  # finds the mistakes in plugins and options too, and raises all together
        raise
    if dry_run:
        rehearsal.rehearse(settings, load_judge_and_matcher)
        return 0
    logs.set_up(settings.log)
    return supervisor.run(settings, lambda: configuration.load(path), load_judge_and_matcher, version("forebay"))
