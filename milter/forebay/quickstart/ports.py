"""Free ports of the loopback interface."""

from __future__ import annotations

import random
import socket
from typing import Final

_FIRST, _LAST = 15_000, 29_999
"""Below those that the kernel gives to clients (net.ipv4.ip_local_port_range), one of which may come at any moment."""
_ATTEMPTS: Final = 200


def free_port() -> int:
    """Return a port on which nobody listens. Raises OSError where no such port is found."""
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - nobody is to be surprised by it
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port on 127.0.0.1")
