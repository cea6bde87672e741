"""A client that speaks to a milter as an MTA does, with `default_action=tempfail`."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from forebay.api import QUARANTINE, REJECT, TAG, Action
from forebay.testing import milter_protocol as protocol
from forebay.testing.message import Message

if TYPE_CHECKING:
    from forebay.api import Example

_NOT_LATE = (protocol.CONTINUE, protocol.ACCEPT, protocol.SKIP)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message.

    `reply` is the text that the SMTP client reads, where the milter gave one; `reason` that of a quarantine; `added`
    are the fields that were added, `removed` the names of those that were taken away. `is_cut` says that the milter
    closed the connection: the MTA answers with its default action then, which is a temporary error here.
    """

    action: Action
    reply: str = ""
    reason: str = ""
    added: tuple[tuple[bytes, bytes], ...] = ()
    removed: tuple[bytes, ...] = ()
    is_cut: bool = False


class MilterClient:
    """One connection to a milter. Messages are sent one after the other, each with what the milter asked for.

    `address` is `unix:PATH` or `inet:PORT@HOST`. Raises OSError where nobody answers there; TimeoutError where the
    milter says nothing for `timeout` seconds.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 60.0,
        actions: int = protocol.ALL_ACTIONS,
        steps: int = protocol.ALL_STEPS,
    ) -> None:
        self._socket = _connect(address, timeout)
        try:
            self.actions, self.steps = _negotiate(self._socket, actions, steps)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, as an MTA does when its client has gone."""
        try:
            protocol.send(self._socket, protocol.QUIT)
        except OSError:
            pass  # the milter was faster
        finally:
            self._socket.close()

    def send(self, message: Message | Example | bytes, queue_id: str = "TEST") -> Answer:
        """Send one message, and return what the milter makes of it."""
        try:
            return self._send(Message.of(message), queue_id)
        except (EOFError, ConnectionError):
            return Answer(Action.TEMPFAIL, is_cut=True)

    def _send(self, message: Message, queue_id: str) -> Answer:
        p = protocol
        origin = (b"i", queue_id.encode()), (b"{client_addr}", message.client.encode())
        login = ((b"{auth_authen}", b"someone"),) if message.authenticated else ()
        p.send(self._socket, p.MACRO, p.macros(p.MAIL, (*origin, *login)))
        parameters = (b"SMTPUTF8",) if message.smtputf8 else ()
        refused = self._step(p.MAIL, p.strings(message.sender, *parameters), p.NOMAIL, p.NR_MAIL)
        taken = 0
        for recipient in () if refused else message.recipients:
            answer = self._step(p.RCPT, p.strings(recipient), p.NORCPT, p.NR_RCPT)
            taken += answer is None
            refused = answer
        if not taken and refused:
            return self._end(refused)
        refused = self._step(p.DATA, b"", p.NODATA, p.NR_DATA)
        for name, value in () if refused else message.fields:
            refused = refused or self._step(p.HEADER, p.strings(name, self._trimmed(value)), p.NOHDRS, p.NR_HDR)
        refused = refused or self._step(p.EOH, b"", p.NOEOH, p.NR_EOH) or self._body(message.body)
        if refused:
            return self._end(refused)
        p.send(self._socket, p.EOM)
        return self._outcome()

    def _trimmed(self, value: bytes) -> bytes:
        """An MTA eats one blank, unless the milter wants to have it."""
        return value if self.steps & protocol.HDR_LEADSPC else value.removeprefix(b" ")

    def _body(self, body: bytes) -> Answer | None:
        for start in range(0, len(body), protocol.LONGEST_CHUNK):
            if self.steps & protocol.NOBODY:
                break
            protocol.send(self._socket, protocol.BODY, body[start : start + protocol.LONGEST_CHUNK])
            if self.steps & protocol.NR_BODY:
                continue
            kind, data = self._reply()
            if kind == protocol.SKIP:
                break
            if kind not in _NOT_LATE:
                return _refusal(kind, data)
        return None

    def _step(self, command: bytes, data: bytes, unwanted: int, without_reply: int) -> Answer | None:
        """Send a command, unless it is not wanted, and return a refusal if there is one."""
        if self.steps & unwanted:
            return None
        protocol.send(self._socket, command, data)
        if self.steps & without_reply:
            return None
        kind, data = self._reply()
        return None if kind in _NOT_LATE else _refusal(kind, data)

    def _end(self, refused: Answer) -> Answer:
        """The message ends here; the connection goes on."""
        protocol.send(self._socket, protocol.ABORT)
        return refused

    def _outcome(self) -> Answer:
        """Everything that a milter says at the end of a message, up to what decides."""
        added: list[tuple[bytes, bytes]] = []
        removed: list[bytes] = []
        reason: str | None = None
        while True:
            kind, data = self._reply()
            if kind == protocol.HOLD:
                reason = data.rstrip(b"\0").decode("ascii", "backslashreplace")
            elif kind in {protocol.ADD_HEADER, protocol.INSERT_HEADER, protocol.CHANGE_HEADER}:
                name, value = (data if kind == protocol.ADD_HEADER else data[4:]).split(b"\0")[:2]
                if value:
                    added.append((name, value))
                else:
                    removed.append(name)
            elif kind not in _NOT_LATE:
                return _refusal(kind, data)
            else:
                action = QUARANTINE if reason is not None else TAG if added else Action.ACCEPT
                return Answer(action, "", reason or "", tuple(added), tuple(removed))

    def _reply(self) -> tuple[bytes, bytes]:
        while True:
            kind, data = protocol.receive(self._socket)
            if kind != protocol.PROGRESS:
                return kind, data


def _negotiate(connection: socket.socket, actions: int, steps: int) -> tuple[int, int]:
    """Offer these actions and protocol steps, and return what the milter takes."""
    try:
        protocol.send(connection, protocol.OPTNEG, struct.pack("!LLL", protocol.VERSION, actions, steps))
        kind, data = protocol.receive(connection)
    except EOFError as error:
        raise ConnectionError(str(error)) from None
    if kind != protocol.OPTNEG:
        raise ValueError(f"the answer to the negotiation is {kind!r}")
    _, actions, steps = struct.unpack_from("!LLL", data)
    return actions, steps


def _refusal(kind: bytes, data: bytes) -> Answer:
    """Raises ValueError for a reply that no milter of ours gives."""
    text = data.rstrip(b"\0").decode("ascii", "backslashreplace").replace("%%", "%")
    if kind == protocol.REPLYCODE:
        return Answer(REJECT if text.startswith("5") else Action.TEMPFAIL, text)
    if kind in {protocol.REJECT, protocol.TEMPFAIL}:
        return Answer(REJECT if kind == protocol.REJECT else Action.TEMPFAIL)
    raise ValueError(f"unexpected reply {kind!r}")


def _connect(address: str, timeout: float) -> socket.socket:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(rest)
        except BaseException:
            connection.close()
            raise
        return connection
    port, _, host = rest.partition("@")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)
