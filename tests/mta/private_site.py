"""What the tests under a real MTA work with: a private Postfix with a milter behind it, and messages as raw bytes."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import PrivatePostfix, private_folder, private_postfix
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import MilterService, milter_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from forebay.quickstart.raw_smtp import Answers

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache"
DEADLINE: Final = 60.0
"""Seconds that anything may take before it counts as never happening."""

SENDER: Final = b"<jane@example.org>"
RECIPIENT: Final = b"<joe@example.com>"
FIELDS: Final = {
    b"From": b" jane@example.org",
    b"To": b" joe@example.com",
    b"Date": b" Tue, 25 Nov 2025 10:00:00 +0000",
    b"Message-ID": b" <1@example.org>",
    b"Subject": b" hello",
}

# One evil line for each action, and what decides then.
TAGGED: Final = {b"Message-ID": None}, "header-missing-message-id"
HELD: Final = {b"To": b" joe@@example.com"}, "address-multiple-at"
REFUSED: Final = {b"To": b' "joe@example.com'}, "address-unbalanced-quote"


def message(
    changed: Mapping[bytes, bytes | None] | None = None, more: bytes = b"", body: bytes = b"Hello\r\n"
) -> bytes:
    """A good message with some fields changed, or left out for None, and `more` raw lines at the end of the header."""
    fields = {**FIELDS, **(changed or {})}
    lines = [name + b":" + value + b"\r\n" for name, value in fields.items() if value is not None]
    return b"".join(lines) + more + b"\r\n" + body


GOOD: Final = message()


@dataclass(frozen=True, slots=True)
class Site:
    """A Postfix, and the milter that it asks."""

    postfix: PrivatePostfix
    milter: MilterService

    def client(self) -> RawClient:
        """A new SMTP connection."""
        return RawClient(self.postfix.port, DEADLINE)

    def send(self, data: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> Answers:
        """Send one message over a connection of its own."""
        with self.client() as client:
            return client.send(sender, recipients, data)

    def reply(self, data: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> str:
        """The reply to one message, or to what kept it from being sent."""
        return self.send(data, sender, recipients).last.text

    def delivered(self, data: bytes) -> bytes:
        """Send a message that is to be accepted, and return it as it was delivered."""
        return self.postfix.delivered(self.send(data).last.queue_id, DEADLINE)

    def await_log(self, text: str) -> None:
        """Wait until the milter has logged this."""
        eventually(lambda: text in self.milter.log(), self.milter.log)


@contextmanager
def site(config: str = "", milter: str = "", **settings: str) -> Iterator[Site]:
    """Run both until the end of the block. `settings` are Postfix's, of main.cf."""
    lines = f'socket_mode = "0666"\nworkers = 2\n{milter}\n'
    with (
        private_folder() as folder,
        milter_service(config, milter=lines) as service,
        private_postfix(unpack("postfix", CACHE), folder, **{"smtpd_milters": service.address, **settings}) as postfix,
    ):
        yield Site(postfix, service)


def eventually(holds: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait until something is so; `told` says more where it never is."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until, told()
        time.sleep(0.02)


def tag_of(delivered: bytes) -> str:
    """The value of the tag in a message, empty where there is none; every line of it."""
    lines = delivered.partition(b"\n\n")[0].decode("ascii", "backslashreplace").split("\n")
    return "\n".join(line.removeprefix("X-Forebay:") for line in lines if line.startswith("X-Forebay:"))


RECORDER: Final = """\
import json
from collections.abc import Iterable
from pathlib import Path
from forebay.api import *

@validator(id="recorder", rfc="", action=ACCEPT, good=[b"Subject: x"], bad=[])
class Recorder(BodyStartValidator):
    '''Writes down what the milter sees.'''

    into: str = ""

    def check(self, start: bytes, header: Header) -> Iterable[Finding]:
        seen = {
            "fields": [[each.name.decode("latin-1"), each.value.decode("latin-1")] for each in header.fields],
            "body": start.decode("latin-1"),
            "sender": header.envelope.sender.decode("latin-1"),
            "recipients": [each.decode("latin-1") for each in header.envelope.recipients],
            "client": header.envelope.client,
            "authenticated": header.envelope.authenticated,
            "smtputf8": header.envelope.smtputf8,
        }
        Path(self.into).write_text(json.dumps(seen))
        return ()

plugin = Plugin(name="recorder", api=1, validators=(Recorder,))
"""


BUDGETS: Final = (
    *("header-count", "header-field-too-long", "header-fold-count", "header-line-too-long", "header-total-too-large"),
)


class Recording:
    """A site whose milter accepts everything and writes down what it sees, by a plugin in a folder."""

    def __init__(self, where: Site, file: Path) -> None:
        self.site = where
        self._file = file

    def of(self, data: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> dict[str, Any]:
        """What the milter is told of a message: `fields` and `body` as latin-1, and the envelope."""
        self._file.unlink(missing_ok=True)
        self.site.send(data, sender, recipients)
        seen: dict[str, Any] = json.loads(self._file.read_text())
        return seen


@contextmanager
def recording(**settings: str) -> Iterator[Recording]:
    """Run such a site until the end of the block."""
    with private_folder() as folder:
        (folder / "recorder.py").write_text(RECORDER)
        file = folder / "seen.json"
        config = [f'[plugins]\ndirectory = "{folder}"', '[policy]\npreset = "observe"']
        config += [f'[validators.recorder]\ninto = "{file}"']
        # Nothing may come to a verdict before the recorder is asked.
        config += [f"[validators.{each}]\nenabled = false" for each in BUDGETS]
        with site("\n".join(config), **settings) as where:
            yield Recording(where, file)


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as proc(5) tells of it."""

    pid: int

    @property
    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def memory(self) -> int:
        """Bytes of it in RAM."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processes(service: MilterService, kind: str) -> list[Process]:
    """The milter's children of a kind: `worker`, `template` or `keeper`."""
    name = f"forebay-{kind}"[:15]  # a process's name has no room for more
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = stat.read_text().partition(" (")
            comm, _, numbers = rest.rpartition(") ")
            state, parent = numbers.split()[:2]
            if comm == name and int(parent) == service.process.pid and state != "Z":
                found.append(Process(int(pid)))
    return sorted(found, key=lambda each: each.pid)
