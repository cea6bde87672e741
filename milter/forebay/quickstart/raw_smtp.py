"""An SMTP client that sends bytes exactly as written: a library would repair what a test is about."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server (RFC 5321 section 4.2): its code, and its lines without the line ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """All of it on one line, fit for a terminal."""
        text = " ".join(line.decode("ascii", "backslashreplace") for line in self.lines)
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)

    @property
    def queue_id(self) -> str:
        """The id under which Postfix queued the message; empty for any other reply."""
        found = re.search(r"queued as (\w+)", self.text)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the server answered to one message: to MAIL, to each RCPT, and last to DATA (None: never got there)."""

    mail: Reply
    rcpt: tuple[Reply, ...]
    data: Reply | None

    @property
    def last(self) -> Reply:
        """The reply that decided."""
        return self.data or next((reply for reply in self.rcpt if reply.code >= 400), self.mail)


class RawClient:
    """One connection to 127.0.0.1. Raises ConnectionError when the server hangs up, TimeoutError when it is silent."""

    def __init__(self, port: int, timeout: float = 60.0, helo: bytes = b"client.example.org") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a short command waits 40 ms
        self._received = b""
        try:
            self.greeting = self.reply()
            self.command(b"EHLO " + helo)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, without QUIT."""
        self._socket.close()

    def raw(self, data: bytes) -> None:
        """Send these bytes and nothing else."""
        self._socket.sendall(data)

    def command(self, line: bytes) -> Reply:
        """Send a command line and return the reply to it."""
        self.raw(line + b"\r\n")
        return self.reply()

    def reply(self) -> Reply:
        """Read one reply, of however many lines."""
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            lines.append(self._line())
        return Reply(int(lines[0][:3]), tuple(lines))

    def send(self, sender: bytes, recipients: Sequence[bytes], message: bytes) -> Answers:
        """Send one message, its envelope addresses with their angle brackets and the message as written.

        The message is not dot-stuffed; only the line end before the final dot is added where it is missing.
        """
        mail = self.command(b"MAIL FROM:" + sender)
        rcpt = tuple(self.command(b"RCPT TO:" + address) for address in recipients) if mail.code < 400 else ()
        if not any(reply.code < 400 for reply in rcpt):
            self.command(b"RSET")
            return Answers(mail, rcpt, None)
        data = self.command(b"DATA")
        if data.code == 354:
            self.raw(message if message.endswith(b"\r\n") else message + b"\r\n")
            data = self.command(b".")
        return Answers(mail, rcpt, data)

    def _line(self) -> bytes:
        while b"\r\n" not in self._received:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("the server hung up")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\r\n")
        return line
