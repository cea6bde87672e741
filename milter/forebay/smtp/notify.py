"""What the service manager is told (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import os
import socket
import time


def notify(*lines: str) -> None:
    """Send lines such as `READY=1`; without a service manager nothing happens, and nothing is raised."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as out:
            out.sendto("\n".join(lines).encode(), "\0" + path[1:] if path[0] == "@" else path)
    except OSError:
        pass  # a manager that does not listen must not stop the mail


def reloading() -> None:
    """Say that a reload begins (Type=notify-reload wants the time with it)."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_seconds() -> float | None:
    """How often the service manager wants to hear WATCHDOG=1: half of its limit, or None."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    return int(limit) / 2_000_000 if limit.isdecimal() and int(limit) else None
