"""`forebay`: finds the command, runs it, and turns what went wrong into one message and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from io import TextIOWrapper

import click

from forebay import errors
from forebay.cli.output import error_line

COMMANDS = {
    "milter": "Run the milter in the foreground.",
    "sidecar": "Guard a router in the foreground.",
    "check": "Say what would happen to messages, and why.",
    "config": "Check and show the configuration.",
    "validators": "List and explain the validators.",
    "plugins": "List the plugins, and begin a new one.",
    "quarantine": "List, show, release and delete what waits for a person.",
    "fingerprints": "List, show, add and revoke the fingerprints of killers.",
    "store": "Bring the store up to date.",
    "install": "Write units, user, directories, manual pages and an example configuration.",
    "status": "Show how the milter is doing, on one screen.",
}
"""Each is the attribute of its own name in the module of its own name: imported when it is called, and not before."""

INTERRUPTED = 130
CUT_OFF = 141
"""As shells tell of a program that SIGINT or SIGPIPE ended: whoever read the output has seen enough."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Commands(click.Group):
    """A group whose commands are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The names, as they are to be read."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"forebay.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """List them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="forebay", prog_name="forebay")
def cli() -> None:
    """Keeps malformed mail from killing a mail router."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status: 0, 1 for a finding, else one of sysexits(3)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may have what the locale has not
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status. What is a bug of ours is shown with its traceback."""
    try:
        status = cli.main(args=arguments, prog_name="forebay", standalone_mode=False)
        sys.stdout.flush()
    except errors.ForebayError as error:
        error_line(str(error))
        return error.exit_code
    except click.ClickException as error:
        _tell_usage(error)
        return os.EX_USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except SystemExit as error:
        return CUT_OFF if error.code == 1 else os.EX_OK  # click makes a 1 of a broken pipe, a 0 of a completion
    except OSError as error:
        return _output_failed(error)
    return status if isinstance(status, int) else os.EX_OK


def _tell_usage(error: click.ClickException) -> None:
    text = error.format_message()
    context = getattr(error, "ctx", None)
    if text.startswith("Usage:"):  # a group without a command: click makes its help the message
        sys.stderr.write(f"{text}\n")
    else:
        error_line(text + (f"\ntry: {context.command_path} --help" if context else ""))


def _output_failed(error: OSError) -> int:
    """The status where standard output takes no more; anything else is a bug of ours."""
    if not isinstance(error, BrokenPipeError) and error.errno not in NO_ROOM:
        raise error
    # What is left in the buffer must not fail once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return CUT_OFF
    error_line(f"the output cannot be written: {error.strerror}")
    return os.EX_IOERR
