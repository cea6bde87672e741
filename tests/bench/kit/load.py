"""A client that plays the MTA's side of the milter protocol as fast as it can, with packets made beforehand.

Each of the clients is a process. What an MTA sends without waiting goes out in one write, as Postfix does it; macros
come with each field, as Postfix sends them. A client holds its share of the sessions open, and sends through one
after the other.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.testing import milter_protocol as p

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forebay.testing import Message

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_REFUSED: Final = p.REJECT + p.TEMPFAIL + p.REPLYCODE
_FINAL: Final = p.CONTINUE + p.ACCEPT + p.SKIP + _REFUSED
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: messages a second, microseconds of the milter's CPU time for each, milliseconds of latency."""

    messages: int
    refused: int
    per_second: float
    cpu: float
    median: float
    late: float
    memory: float

    @classmethod
    def of(cls, latencies: list[float], refused: int, seconds: float, cpu: float, memory: float) -> Load:
        """From the latencies of all messages; `late` is what one of a hundred exceeds."""
        latencies.sort()
        count = len(latencies)
        return cls(
            count, refused, count / seconds, cpu / count * 1e6,
            latencies[count // 2] * 1e3, latencies[count * 99 // 100] * 1e3, memory,
        )  # fmt: skip


def descendants(pid: int) -> list[int]:
    """A process, its children and theirs."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            todo += map(int, task.read_text().split())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that these processes have used."""
    numbers = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in numbers) / _TICKS


def memory_bytes(pids: Sequence[int]) -> int:
    """Memory that these processes have for themselves, with their shares of what they share (PSS)."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def run(
    path: str, messages: list[Message], pid: int, *, clients: int = 8, seconds: float = 2.0, sessions: int = 0
) -> Load:
    """Send messages to the milter at a unix socket, whose first process is `pid`.

    With `sessions`, so many are open all the time; without, each message has a session of its own. Raises
    ConnectionError where the milter cuts a session.
    """
    pipes = []
    for number in range(clients):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _client(path, messages[number:] + messages[:number], seconds, sessions // clients, writer)
        os.close(writer)
        pipes.append((child, reader))
    # The clients begin when all sessions are open, and say so.
    pids = descendants(pid)
    ready = [os.read(reader, 1) for _, reader in pipes]
    before, started = cpu_seconds(pids), time.perf_counter()
    latencies, refused = [], 0
    for child, reader in pipes:
        with os.fdopen(reader) as file:
            said = json.loads(file.read() or "null")
        os.waitpid(child, 0)
        if said is None or not all(ready):
            raise ConnectionError("the milter cut a session")
        latencies += said["latencies"]
        refused += said["refused"]
    took = time.perf_counter() - started
    return Load.of(latencies, refused, took, cpu_seconds(pids) - before, memory_bytes(pids))


def _client(path: str, messages: Sequence[Message], seconds: float, sessions: int, writer: int) -> None:
    """The life of a client process."""
    try:
        with_sessions = [_connect(path) for _ in range(sessions)]
        probe, agreed = _connect(path)  # every session agrees to the same
        bursts = [_bursts(each, agreed) for each in messages]
        probe.close()
        os.write(writer, b"r")
        latencies: list[float] = []
        refused = 0
        lines: Iterator[tuple[socket.socket, int]] = itertools.cycle(with_sessions)
        until = time.perf_counter() + seconds
        for number in itertools.count():
            began = time.perf_counter()
            if began > until:
                break
            line, _ = next(lines) if sessions else _connect(path)
            refused += _send(line, bursts[number % len(messages)])
            if not sessions:
                line.sendall(_packet(p.QUIT))
                line.close()
            latencies.append(time.perf_counter() - began)
        os.write(writer, json.dumps({"latencies": latencies, "refused": refused}).encode())
    finally:
        os._exit(0)


def _connect(path: str) -> tuple[socket.socket, int]:
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(_TIMEOUT)
    while True:
        try:
            line.connect(path)
            break
        except BlockingIOError:
            time.sleep(0.001)  # the queue of connections is full: an MTA waits
    p.send(line, p.OPTNEG, struct.pack("!LLL", p.VERSION, p.ALL_ACTIONS, p.ALL_STEPS))
    _, data = p.receive(line)
    return line, struct.unpack_from("!L", data, 8)[0]


def _send(line: socket.socket, bursts: Sequence[bytes]) -> bool:
    """Send a message; whether it was refused."""
    for burst in bursts:
        line.sendall(burst)
        while (kind := p.receive(line)[0]) not in _FINAL:
            pass
        if kind in _REFUSED:
            line.sendall(_packet(p.ABORT))
            return True
    line.sendall(_packet(p.ABORT))  # Postfix sends it after each message
    return False


def _bursts(message: Message, steps: int) -> list[bytes]:
    """What is sent for a message by a client that agreed to these steps, cut where an answer is waited for."""
    queue_id = p.strings(b"i", b"4XTEST")
    packets: list[tuple[bytes, bytes, int, int]] = [(p.MAIL, p.strings(message.sender), p.NOMAIL, p.NR_MAIL)]
    packets += [(p.RCPT, p.strings(each), p.NORCPT, p.NR_RCPT) for each in message.recipients]
    packets += [(p.DATA, b"", p.NODATA, p.NR_DATA)]
    packets += [(p.HEADER, p.strings(*each), p.NOHDRS, p.NR_HDR) for each in message.fields]
    packets += [(p.EOH, b"", p.NOEOH, p.NR_EOH)]
    packets += [(p.BODY, message.body[: p.LONGEST_CHUNK], p.NOBODY, p.NR_BODY)] if message.body else []
    packets += [(p.EOM, b"", 0, 0)]
    bursts, waiting = [], b""
    for command, data, unwanted, silent in packets:
        waiting += _packet(p.MACRO, command + queue_id)
        if steps & unwanted:
            continue
        waiting += _packet(command, data)
        if not steps & silent:
            bursts.append(waiting)
            waiting = b""
    return bursts


def _packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack("!L", len(data) + 1) + command + data
