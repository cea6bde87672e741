"""What forebay costs an MTA: messages a second, and latency, through a real Postfix and a real Sendmail.

    .venv/bin/python tests/bench/mta_price.py [--mta postfix|sendmail] [--messages 5000] [--rounds 7] [--clients 8]

Run it as root, alone on a quiet machine. Each MTA runs three times side by side: with no milter, with one in C that does
nothing, and with forebay. Round after round each of the three gets its share of the messages, in another order each
time, first from several clients at once (by Postfix's own smtp-source, one session a message), which gives the messages
a second and the CPU time a message of all processes of MTA and milter together (which says what the price is where
other work on the machine blurs the rest), then from one client, which gives the latency (from MAIL to the last reply).
Mail is accepted and written to the queue's disk as ever; it is not delivered. Prints a table, and the same as one line
of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from forebay.quickstart.debs import library_path, unpack
from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.postfix_services import postfix_with
from mta.private_sendmail import TIMES, private_sendmail
from mta.private_site import CACHE, DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TICKS: Final = os.sysconf("SC_CLK_TCK")
KINDS: Final = ("none", "idle", "forebay")
HEADER: Final = Path(__file__).with_name("header.eml")
BODY: Final = b"All is well here, and nobody has anything to add to that.\r\n" * 40
SINGLES: Final = 100
"""Messages a round of which the latency is taken."""
POSTFIX: Final = {"default_transport": "discard", "in_flow_delay": "0", "milter_content_timeout": "60s"}
QUEUE_ONLY: Final = "define(`confDELIVERY_MODE', `queueonly')dnl"


@dataclass(slots=True)
class Contender:
    """An MTA with one kind of milter; `clean` empties its queue, where nothing else does.

    `roots` are the first process of the MTA, and of the milter; `cpu` is seconds a message.
    """

    port: int
    roots: list[int]
    clean: Callable[[], None]
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


def nothing() -> None:
    """Nothing is left in the queue."""


def cpu_of(pid: int) -> float:
    """Seconds of CPU time of a process, and of all that it has started, those that are gone and waited for too."""
    with suppress(OSError):
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(map(int, numbers[11:15])) / TICKS + sum(cpu_of(int(each)) for each in children)
    return 0.0


@contextmanager
def idle_milter(folder: Path) -> Iterator[tuple[str, int]]:
    """The one that does nothing; where it listens, and its process."""
    program, address = folder / "idle_milter", folder / "idle.sock"
    source = Path(__file__).with_name("idle_milter.c")
    subprocess.run(("cc", "-O2", "-Wall", "-o", str(program), str(source), "-lmilter", "-lpthread"), check=True)
    process = subprocess.Popen((str(program), f"unix:{address}"))
    try:
        while not address.exists():
            time.sleep(0.01)
            assert process.poll() is None
        address.chmod(0o666)
        yield f"unix:{address}", process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def milters() -> Iterator[dict[str, tuple[str, int]]]:
    """All three kinds; where each listens, nothing for none, and its first process."""
    with private_folder() as folder, idle_milter(folder) as idle, milter_service(milter='socket_mode = "0666"') as own:
        yield dict(zip(KINDS, (("", 0), idle, (own.address, own.process.pid)), strict=True))


@contextmanager
def postfix(address: str) -> Iterator[Contender]:
    """One Postfix, which throws away what it has accepted."""
    with (
        private_folder() as folder,
        postfix_with(
            folder, {**POSTFIX, "smtpd_milters": address}, "discard unix - - n - - discard\n"
        ) as mta,
    ):  # fmt: skip
        yield Contender(mta.port, [int((mta.folder / "queue/pid/master.pid").read_text())], nothing)


@contextmanager
def sendmail(address: str) -> Iterator[Contender]:
    """One Sendmail, which queues what it has accepted."""
    filters = f"INPUT_MAIL_FILTER(`milter', `S={address}, F=T, T={TIMES}')dnl" if address else ""
    with private_folder() as folder, private_sendmail(folder, filters, QUEUE_ONLY) as mta:

        def clean() -> None:
            for path in mta.queue.iterdir():
                path.unlink()

        yield Contender(mta.port, [int((mta.folder / "sendmail.pid").read_text().split()[0])], clean)


def throughput(contender: Contender, file: Path, messages: int, clients: int) -> tuple[float, float]:
    """Messages a second, and seconds of CPU time a message."""
    tree = unpack("postfix", CACHE)
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path(tree)}
    command = (
        str(tree / "usr/sbin/smtp-source"), "-s", str(clients), "-m", str(messages), "-F", str(file),
        "-f", "jane@example.org", "-t", "joe@example.com", f"127.0.0.1:{contender.port}",
    )  # fmt: skip
    before, began = sum(map(cpu_of, contender.roots)), time.monotonic()
    subprocess.run(command, env=environment, check=True)
    seconds = time.monotonic() - began
    return messages / seconds, (sum(map(cpu_of, contender.roots)) - before) / messages


def latencies(contender: Contender, data: bytes) -> Iterator[float]:
    """Seconds that each of some messages takes, one after another."""
    for _ in range(SINGLES):
        with RawClient(contender.port, DEADLINE) as client:
            began = time.monotonic()
            last = client.send(b"<jane@example.org>", (b"<joe@example.com>",), data).last
            assert last.code == 250, last
            yield time.monotonic() - began


def measure(mta: Callable[[str], Any], messages: int, rounds: int, clients: int) -> dict[str, Any]:
    """Round after round; what came of it."""
    data = HEADER.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n\r\n" + BODY
    with ExitStack() as stack:
        addresses = stack.enter_context(milters())
        file = stack.enter_context(private_folder()) / "message"
        file.write_bytes(data.replace(b"\r\n", b"\n"))
        contenders = {kind: stack.enter_context(mta(address)) for kind, (address, _) in addresses.items()}
        for kind, each in contenders.items():
            each.roots += [pid for pid in addresses[kind][1:] if pid]
            throughput(each, file, 50, clients)  # until all processes are there
        for number in range(rounds):
            for kind in (*KINDS[number % 3 :], *KINDS[: number % 3]):
                contender = contenders[kind]
                rate, cpu = throughput(contender, file, -(-messages // rounds), clients)
                contender.rates.append(rate)
                contender.cpu.append(cpu)
                contender.latencies += latencies(contender, data)
                contender.clean()
    return {kind: summary(each, contenders["idle"], contenders["none"]) for kind, each in contenders.items()}


def summary(own: Contender, idle: Contender, none: Contender) -> dict[str, float]:
    """The medians over all rounds, and of the rounds' ratios."""
    return {
        "per_second": round(statistics.median(own.rates), 1),
        "against_none": round(_ratio(own, none), 4),
        "against_idle": round(_ratio(own, idle), 4),
        "cpu_ms": round(1000 * statistics.median(own.cpu), 2),
        "cpu_more_than_idle_ms": round(1000 * _more(own.cpu, idle.cpu), 2),
        "median_ms": round(1000 * statistics.median(own.latencies), 2),
        "p99_ms": round(1000 * _p99(own), 2),
        "p99_more_than_none_ms": round(1000 * (_p99(own) - _p99(none)), 2),
    }


def _ratio(one: Contender, other: Contender) -> float:
    return statistics.median(mine / its for mine, its in zip(one.rates, other.rates, strict=True)) - 1


def _more(some: list[float], others: list[float]) -> float:
    return statistics.median(mine - its for mine, its in zip(some, others, strict=True))


def _p99(contender: Contender) -> float:
    return statistics.quantiles(contender.latencies, n=100)[-1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mta", choices=("postfix", "sendmail"), action="append")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clients", type=int, default=8)
    told = parser.parse_args()
    kinds: dict[str, Callable[[str], Any]] = {"postfix": postfix, "sendmail": sendmail}
    found = {}
    for name in told.mta or kinds:
        load = os.getloadavg()[0]
        found[name] = measure(kinds[name], told.messages, told.rounds, told.clients)
        print(f"{name}: {told.messages} messages each in {told.rounds} rounds, {told.clients} clients; load {load:.1f}")
        print(
            f"{'milter':9}{'messages/s':>11}{'to none':>9}{'to idle':>9}{'CPU':>10}{'to idle':>10}{'median':>10}{'p99':>10}{'p99 more':>10}"
        )
        for kind, row in found[name].items():
            print(
                f"{kind:9}{row['per_second']:11.1f}{100 * row['against_none']:+8.1f}%{100 * row['against_idle']:+8.1f}%"
                f"{row['cpu_ms']:7.2f} ms{row['cpu_more_than_idle_ms']:+7.2f} ms"
                f"{row['median_ms']:7.2f} ms{row['p99_ms']:7.2f} ms{row['p99_more_than_none_ms']:7.2f} ms"
            )
        print(flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
