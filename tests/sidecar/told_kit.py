"""A child process that does one thing after the other, when it is told to."""

from __future__ import annotations

import os
import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def told(act: Callable[[str], None]) -> Iterator[tuple[int, Callable[[str], None]]]:
    """Its pid, and how it is told a word: that returns when the child has acted on it."""
    ours, its = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while word := its.recv(100):
            act(word.decode())
            its.send(b"done")
        os._exit(0)
    its.close()

    def tell(word: str) -> None:
        ours.send(word.encode())
        assert ours.recv(100) == b"done"

    with closing(ours):
        yield pid, tell
    os.waitpid(pid, 0)
