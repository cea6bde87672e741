"""`python -m forebay.quickstart`, which milter/quickstart calls: a private Postfix, the milter, and the show.

Everything that is started or made here outside the cache is gone at the end, however it ends, short of SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import ForebayError
from forebay.quickstart.debs import unpack
from forebay.quickstart.private_milter import USER, private_milter
from forebay.quickstart.private_postfix import private_folder, private_postfix
from forebay.quickstart.router_show import RouterShow, router_show, sections
from forebay.quickstart.show import Show
from forebay.quickstart.signals import Stop, StoppedError
from forebay.quickstart.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.quickstart.private_milter import PrivateMilter
    from forebay.quickstart.private_postfix import PrivatePostfix


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the show; the exit status."""
    parser = argparse.ArgumentParser(prog="milter/quickstart", add_help=False)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--began", type=float, default=time.time())
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args(arguments)
    stop = Stop()
    stop.listen()
    terminal = Terminal(sys.stdout)
    try:
        return _run(terminal, stop, given.cache.resolve(), given.began, once=given.once)
    except StoppedError as error:
        terminal.line(f"{error.by.name}: ended, and nothing is left behind.")
        return 128 + error.by
    except ForebayError as error:
        Terminal(sys.stderr).failure(str(error))
        return error.exit_code
    except OSError as error:
        Terminal(sys.stderr).failure(f"The show broke off: {error}")
        return os.EX_UNAVAILABLE


def _run(terminal: Terminal, stop: Stop, cache: Path, began: float, *, once: bool) -> int:
    tree = _unpack(terminal, stop, cache)
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        with terminal.step("forebay milter"):
            milter = stack.enter_context(private_milter(folder, sections(folder)))
        stop.check()
        with terminal.step("Postfix, with a configuration and a queue of its own"):
            postfix = stack.enter_context(private_postfix(tree, folder, smtpd_milters=milter.address))
        with terminal.step("forebay sidecar, and a router whose spool is a directory"):
            router = stack.enter_context(router_show(terminal, folder, milter.config, postfix))
        with stop.may_interrupt():
            terminal.line()
            wrong = _show(terminal, postfix, milter, router)
            took = time.time() - began
        if wrong:
            terminal.line(f"{wrong} of the messages met with something else than they had to. {took:.0f} s", "red")
        else:
            terminal.line(f"Every answer was as expected. It took {took:.0f} s in all.", "green")
        if not once:
            terminal.line("Postfix and the milter go on until Ctrl-C, which removes all of it again.")
            with suppress(StoppedError), stop.may_interrupt():
                threading.Event().wait()
    if not once:
        terminal.line(f"Ended; {folder} is gone.")
    return os.EX_SOFTWARE if wrong else os.EX_OK


def _show(terminal: Terminal, postfix: PrivatePostfix, milter: PrivateMilter, router: RouterShow) -> int:
    """Everything there is to see; how much of it was wrong."""
    terminal.line(f"Postfix {postfix.version} is sent good mail and evil mail over one connection, and answers:")
    terminal.line()
    show = Show(terminal, postfix, milter)
    wrong = show.run()
    show.show_held()
    wrong += router.run()
    terminal.line("To look around:", "bold")
    terminal.line()
    forebay = os.path.relpath(Path(sys.executable).with_name("forebay"))
    terminal.pair("milter runs as", milter.user or f"root, since {USER} may not read this folder")
    terminal.pair("send more to", f"127.0.0.1:{postfix.port}")
    terminal.pair("metrics", milter.metrics)
    terminal.pair("configuration", str(milter.config))
    terminal.pair("milter's log", str(milter.log_file))
    terminal.pair("sidecar's log", str(router.log_file))
    terminal.pair("Postfix's log", str(postfix.log_file))
    terminal.pair("status", f"{forebay} status --config {milter.config}")
    terminal.pair("try a message", f"{forebay} check FILE")
    terminal.pair("quarantine", f"{forebay} quarantine list --config {milter.config}")
    terminal.line()
    return wrong


def _unpack(terminal: Terminal, stop: Stop, cache: Path) -> Path:
    with terminal.step("Postfix, unpacked into .cache (nothing is installed)"), stop.may_interrupt():
        tree = unpack("postfix", cache)
    # Run with sudo in somebody's checkout, its cache stays his.
    owner = cache.parent.stat()
    os.chown(cache, owner.st_uid, owner.st_gid)
    return tree


if __name__ == "__main__":
    sys.exit(main())
