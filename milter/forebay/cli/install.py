"""`forebay install`: units, user, directories, manual pages and an example configuration, shown or written."""

# ruff: noqa: S603 - runs systemd's own tools, by their path, with arguments of our own

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from forebay.cli import dropin
from forebay.cli.installing import KEPT, everything, installed
from forebay.cli.output import error_line, printable
from forebay.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.cli.installing import Installed

TOOLS: Final = (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d"))
"""What makes the user and the directories, each by the file that we wrote for it."""

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9_./+-]+")
_HIDDEN: Final = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - what the unit hides

NEXT: Final = """\
Next:
  systemctl daemon-reload
  systemctl enable --now forebay-milter forebay-sidecar
  forebay status
And, for a mail each morning that tells what waits in quarantine:
  systemctl enable --now forebay-digest.timer
"""
GUARDED: Final = """\
Next:
  write [router] cgroup = "{cgroup}" into forebay.toml, with the adapter of that router
  systemctl daemon-reload
  systemctl restart {unit}
  systemctl reload forebay-sidecar
"""


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the files, and change nothing.")
@click.option("--remove", is_flag=True, help="Take away what was written and not edited since.")
@click.option("--guard", metavar="UNIT", multiple=True, help="Have this service started inside the router's group.")
@click.option("--root", metavar="DIR", default="/", help="Write below DIR, and make no user: for packages.")
@click.option("--program", metavar="PATH", help="The command that the unit starts; by default, this one.")
def install(dry_run: bool, remove: bool, guard: tuple[str, ...], root: str, program: str | None) -> None:
    """Write units, user, directories, manual pages and an example configuration; start nothing.

    A file that was edited is left as it is, and its new version is written beside it, with .new at the end. Run again,
    it has nothing to do. With --guard the unit of a router gets a drop-in by which forebay's launcher starts it.
    """
    place = Path(root).absolute()
    if remove:
        _remove_all(place, guard, dry_run=dry_run)
        return
    for each in everything(place, _program(program), guard):
        _write(each, dry_run=dry_run)
    if dry_run:
        return
    if place == Path("/"):
        make_accounts(place)
        click.echo(NEXT, nl=False)
        for unit in guard:
            click.echo(GUARDED.format(cgroup=dropin.cgroup(unit), unit=unit), nl=False)


def make_accounts(root: Path) -> None:
    """Let systemd make the user and the directories below `root`. Raises UnavailableError with what it said."""
    for tool, folder in TOOLS:
        path = shutil.which(tool)
        if path is None:
            error_line(f"{tool} is not there: make by hand what {root / 'etc' / folder / 'forebay.conf'} says")
            continue
        verb = ("--create",) if tool == "systemd-tmpfiles" else ()
        _run((path, f"--root={root}", *verb, str(root / "etc" / folder / "forebay.conf")))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"this failed: {' '.join(command)}\n{(done.stderr or done.stdout).strip()}")


def _write(file: Installed, *, dry_run: bool) -> None:
    """Write one file, or show it, and say what was done."""
    state = file.state()
    path = file.beside if state == "edited" else file.path
    if state == "current" or (state == "edited" and _has(path, file.content)):
        _say("unchanged", file.path, "" if state == "current" else f"edited; the new version is {path}")
        return
    note = f"{file.path} was edited and stays" if state == "edited" else ""
    if dry_run:
        _say("would write", path, note or ("a manual page" if file.is_page else ""))
        if file.is_page:
            return
        click.echo("".join(f"    {line}\n" for line in file.content.decode().splitlines()))
        return
    file.write(path)
    _say("wrote", path, note)


def _remove_all(root: Path, guard: Sequence[str], *, dry_run: bool) -> None:
    """Take away all files, or the drop-ins of some units; and say what stays."""
    wanted = {root / dropin.place(each) for each in guard}
    for each in installed(root):
        if not wanted or each.path in wanted:
            _remove(each, dry_run=dry_run)
    for kept in () if wanted else KEPT:
        if (root / kept).is_dir():
            _say("kept", root / kept, "what was quarantined, and what is known of it")


def _remove(file: Installed, *, dry_run: bool) -> None:
    """Take one file away, if it is as it was written."""
    state = file.state()
    if state == "missing":
        return
    if state == "edited":
        _say("kept", file.path, "it was edited")
        return
    if not dry_run:
        file.remove(file.path)
        if file.path.name == dropin.NAME:
            with suppress(OSError):
                file.path.parent.rmdir()  # unless others have a drop-in there
    _say("would remove" if dry_run else "removed", file.path, "")


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _say(what: str, path: Path, note: str) -> None:
    click.echo(printable(f"{what} {path}" + (f" ({note})" if note else "")))


def _program(named: str | None) -> str:
    """The command for the unit: a path that systemd takes as it is. Raises UsageError."""
    beside = Path(sys.executable).parent / "forebay"
    program = named or (str(beside) if beside.exists() else shutil.which("forebay")) or "/usr/bin/forebay"
    if not _PLAIN_PATH.fullmatch(program):
        raise UsageError(f"{program}: give the unit's command with --program, an absolute path without blanks")
    if program.startswith(_HIDDEN):
        error_line(f"{program}: the unit does not see /home, /root and /tmp; install forebay elsewhere, as in /opt")
    return program
