"""The line between two of our processes: whole messages, descriptors with them, and an end that both can see.

Each end is held by one process only, so that reading the end of it means that the other process is gone.
"""

from __future__ import annotations

import array
import json
import select
import socket
from dataclasses import dataclass
from typing import Any, Final

_LONGEST: Final = 1 << 17
_MOST_DESCRIPTORS: Final = 4


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a verb, what goes with it, and descriptors that the receiver now owns."""

    verb: str
    given: dict[str, Any]
    descriptors: tuple[int, ...] = ()


class Channel:
    """One end of a line (unix(7), SOCK_SEQPACKET)."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Both ends of a new line."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def of(cls, descriptor: int) -> Channel:
        """An end that was received."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """For select."""
        return self._end.fileno()

    def send(self, verb: str, descriptors: tuple[int, ...] = (), **given: Any) -> bool:
        """Send a message; False where the other end is gone or does not read."""
        data = json.dumps({"verb": verb, **given}).encode()[:_LONGEST]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self._end.sendmsg([data], rights, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> Message | None:
        """Wait for the next message; None at the end of the line."""
        try:
            data, rights, _, _ = self._end.recvmsg(_LONGEST, socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4))
        except ConnectionError:
            return None
        if not data:
            return None
        numbers = array.array("i")
        for _, _, packed in rights:
            numbers.frombytes(packed[: len(packed) - len(packed) % numbers.itemsize])
        given = json.loads(data)
        return Message(given.pop("verb"), given, tuple(numbers))

    def receive_now(self) -> Message | None:
        """The next message that is there already; None where there is none, or at the end of the line."""
        return self.receive() if select.select([self._end], [], [], 0)[0] else None

    def close(self) -> None:
        """Give up this end."""
        self._end.close()
