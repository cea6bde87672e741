"""A milter on pymilter's C module that asks for sender and fields as forebay does, and does nothing with them.

    python do_nothing.py PATH WORKERS

Listens on the unix socket PATH with so many processes, as forebay does; ends when it is terminated.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import milter

WANTED = (
    milter.P_NOCONNECT
    | milter.P_NOHELO
    | milter.P_NORCPT
    | milter.P_NODATA
    | milter.P_NOUNKNOWN
    | milter.P_NOBODY
    | milter.P_NR_HDR
    | milter.P_HDR_LEADSPC
)


def negotiate(context: Any, options: list[int]) -> int:
    """Ask for little; each session has a list for its fields."""
    context.setpriv([])
    options[:] = [options[0] & milter.QUARANTINE, options[1] & WANTED, 0, 0]
    return int(milter.CONTINUE)


def sender(context: Any, *_: bytes) -> int:
    """Forget the fields of the message before."""
    context.getpriv().clear()
    return int(milter.CONTINUE)


def field(context: Any, name: str, value: bytes) -> int:
    """Keep it."""
    context.getpriv().append((name, value))
    return int(milter.NOREPLY)


def end(_: Any) -> int:
    """Nothing."""
    return int(milter.CONTINUE)


def sockets() -> set[int]:
    """The descriptors that are sockets."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        if each.exists() and stat.S_ISSOCK(each.stat().st_mode):
            found.add(int(each.name))
    return found


def main() -> None:
    """Listen, fork, and wait for the end."""
    path, workers = sys.argv[1], int(sys.argv[2])
    milter.set_envfrom_callback(sender)
    milter.set_header_callback(field)
    milter.set_eoh_callback(end)
    milter.set_eom_callback(end)
    milter.register("nothing", negotiate=negotiate)
    milter.setconn(f"unix:{path}")
    milter.setbacklog(512)
    before = sockets()
    milter.opensocket(True)
    for each in sockets() - before:
        os.set_blocking(each, False)  # who loses the race for a connection must not sleep in accept(2)
    children = []
    for _ in range(workers):
        pid = os.fork()
        if not pid:
            milter.main()
            os._exit(0)
        children.append(pid)
    signal.sigwait({signal.SIGTERM})
    for each in children:
        os.kill(each, signal.SIGKILL)
        os.waitpid(each, 0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
