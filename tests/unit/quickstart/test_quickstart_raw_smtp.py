"""The raw SMTP client: bytes go out as written, and every reply is read to its end."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.raw_smtp import RawClient, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Server:
    """Gives the replies that it was given, one for each of the client's turns, and keeps what it heard."""

    def __init__(self, replies: Sequence[bytes]) -> None:
        self._replies = replies
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            for number, reply in enumerate(self._replies):
                if number:
                    self.heard += connection.recv(65536)
                for byte in (reply[i : i + 7] for i in range(0, len(reply), 7)):  # in pieces, as a network may
                    connection.sendall(byte)

    def close(self) -> None:
        """Wait for its end."""
        self._thread.join(60)
        self._listening.close()


@contextmanager
def server(*replies: bytes) -> Iterator[Server]:
    """A server for one conversation."""
    running = Server(replies)
    try:
        yield running
    finally:
        running.close()


def test_replies_of_several_lines() -> None:
    """RFC 5321 section 4.2.1: the last line is the one with a blank after the code."""
    with (
        server(
            b"220 hello\r\n", b"250-mx\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", b"550-no\r\n550 never\r\n"
        ) as running,
        RawClient(running.port) as client,
    ):
        assert client.greeting == Reply(220, (b"220 hello",))
        assert client.command(b"NOOP \xff\x00") == Reply(550, (b"550-no", b"550 never"))
    assert running.heard == b"EHLO client.example.org\r\nNOOP \xff\x00\r\n"


def test_the_queue_id_is_read_from_the_reply() -> None:
    """As Postfix says it; any other reply has none."""
    assert Reply(250, (b"250 2.0.0 Ok: queued as 4Bq1Xn2x",)).queue_id == "4Bq1Xn2x"
    assert Reply(250, (b"250 2.1.0 Ok",)).queue_id == ""


def test_a_reply_is_shown_escaped() -> None:
    """Whatever a server says, nothing but text reaches the terminal."""
    assert Reply(250, (b"250 \x1b[31m\xff\x00",)).text == r"250 \x1b[31m\xff\x00"


def test_a_message_without_recipients_is_not_sent() -> None:
    """RSET instead of DATA, and the first refusal is the one that decided."""
    with server(b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"550 no\r\n", b"551 nor\r\n", b"250 reset\r\n") as running:
        with RawClient(running.port) as client:
            answers = client.send(b"<a>", (b"<b>", b"<c>"), b"x")
        assert answers.data is None
        assert answers.last.code == 550
    assert running.heard.endswith(b"RSET\r\n")


def test_a_server_that_hangs_up_is_noticed() -> None:
    """At any time; nothing is waited for then."""
    with server(b"220 x\r\n", b"250 x\r\n") as running, RawClient(running.port) as client:
        running.close()
        with pytest.raises(ConnectionError):
            client.command(b"NOOP")
