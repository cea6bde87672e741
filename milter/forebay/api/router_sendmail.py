"""A Sendmail's queue: its files, and the commands that quarantine a message there and let it go again.

Sendmail has no command that tells of one message, so its control files are read: `qf` and the queue id for what waits,
`hf` for what is quarantined, `df` for the body. Commands name a queue id always: `sendmail -qQ` alone would deliver
everything that is quarantined. For a deletion there is no command: the two files are removed under Sendmail's own lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from forebay import files
from forebay.api.router_program import Programs
from forebay.message import controlfile
from forebay.message.controlfile import ControlFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "MOST_CONTROL",
    "QUARANTINED",
    "WAITING",
    "ControlFile",
    "Found",
    "Places",
    "SendmailQueue",
    "parse",
    "places_below",
]

QUARANTINED: Final = "hf"
WAITING: Final = "qf"
QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{8,40}")
MOST_CONTROL: Final = 16 << 20
"""Bytes of a control file that are read; of a longer one its end is missing, and it is taken for no whole one."""

Places = tuple[tuple[Path, Path], ...]
"""Where control files lie, each with where the bodies beside them do."""

parse = controlfile.parse


class Found(NamedTuple):
    """A message: `kind` of its control file, the two files, the body's device, inode and size, and what is said of it."""

    kind: str
    queue_id: str
    control: Path
    body: Path
    device: int
    inode: int
    body_size: int
    told: ControlFile


def places_below(directories: Sequence[Path]) -> Places:
    """The places in queue directories: each may have directories `qf` and `df` (op.me, "The queue directories")."""
    found = []
    for each in directories:
        control, body = each / "qf", each / "df"
        found.append((control if control.is_dir() else each, body if body.is_dir() else each))
    return tuple(dict.fromkeys(found))


class SendmailQueue:
    """The queue in these places. The commands are those of the Sendmail with this `config`, run with `environment`.

    Every method raises OSError: BlockingIOError where Sendmail has the message locked, or where its command takes longer
    than the patience of `programs`.
    """

    def __init__(self, places: Places, config: str = "", environment: dict[str, str] | None = None) -> None:
        self.places = places
        self.programs = Programs()
        self._config = (f"-C{config}",) if config else ()
        self._environment = environment or {**os.environ, "LANG": "C"}

    def find(self, queue_id: str, *kinds: str) -> Found | None:
        """The message of this id, where it has a control file of one of these kinds (of both, without)."""
        if not QUEUE_ID.fullmatch(queue_id):
            return None
        for kind in kinds or (QUARANTINED, WAITING):
            for folder, _ in self.places:
                found = self._read(kind, queue_id, folder)
                if found:
                    return found
        return None

    def quarantined(self) -> Iterator[str]:
        """The ids of all that is quarantined."""
        for folder, _ in self.places:
            names = (each.name.removeprefix(QUARANTINED) for each in folder.glob(f"{QUARANTINED}*"))
            yield from (name for name in names if QUEUE_ID.fullmatch(name))

    def quarantine(self, queue_id: str, reason: str) -> None:
        """Quarantine a message that waits."""
        self._alone(queue_id, WAITING)
        self._run(f"-Q{reason}", f"-qI{queue_id}")
        if self.find(queue_id, WAITING):
            raise BlockingIOError(errno.EAGAIN, "Sendmail is busy with it", queue_id)

    def release(self, queue_id: str) -> None:
        """Let a quarantined message wait for the next queue run."""
        self._alone(queue_id, QUARANTINED)
        self._run("-qQ", "-Q", f"-qI{queue_id}")
        if self.find(queue_id, QUARANTINED):
            raise BlockingIOError(errno.EAGAIN, "Sendmail is busy with it", queue_id)

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Sendmail's command line."""
        return ("sendmail", *self._config, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        """What the commands run with."""
        return self._environment

    @contextmanager
    def locked(self, message: Found) -> Iterator[None]:
        """Have Sendmail's lock on a message, and be sure that it is this one. Raises FileNotFoundError where it is not."""
        descriptor = os.open(message.control, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # Sendmail is built for one of the two kinds of lock, or the other.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here = self.find(message.queue_id, message.kind)
            if here != message or os.fstat(descriptor).st_ino != message.control.lstat().st_ino:
                raise FileNotFoundError(errno.ENOENT, "another message has its queue id", message.queue_id)
            yield
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, "Sendmail is busy with it", message.queue_id) from None
        finally:
            os.close(descriptor)

    def remove(self, message: Found) -> None:
        """Remove a message for good. Killed between the two files, we leave a body that Sendmail never looks at."""
        with self.locked(message):
            for each in (message.control, message.body):
                each.unlink(missing_ok=True)
                files.sync_directory(each.parent)

    def _alone(self, queue_id: str, kind: str) -> None:
        """`-qI` takes every queue id that has this one in it: then nothing is done."""
        if not QUEUE_ID.fullmatch(queue_id):
            raise OSError(errno.EINVAL, "this is no queue id", queue_id)
        for folder, _ in self.places:
            for each in folder.glob(f"{kind}*{queue_id}*"):
                if each.name != f"{kind}{queue_id}":
                    raise OSError(errno.EBUSY, f"Sendmail would take {each.name.removeprefix(kind)} as well", queue_id)

    def _run(self, *arguments: str) -> None:
        done = self.programs.run(self.command(*arguments), self._environment)
        if done.status:
            raise OSError(errno.EIO, done.last_words, "sendmail")

    def _read(self, kind: str, queue_id: str, folder: Path) -> Found | None:
        control = folder / f"{kind}{queue_id}"
        try:
            descriptor = files.open_regular(control)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            told = controlfile.parse(file.read(MOST_CONTROL), queue_id.encode())
        body = self._body(queue_id, folder) if told else None
        if not told or not body:
            return None
        status = body.lstat()
        return Found(kind, queue_id, control, body, status.st_dev, status.st_ino, status.st_size, told)

    def _body(self, queue_id: str, folder: Path) -> Path | None:
        """The body's file: normally beside its control file."""
        nearest_first = sorted(self.places, key=lambda place: place[0] != folder)
        paths = (body / f"df{queue_id}" for _, body in nearest_first)
        return next((path for path in paths if path.is_file() and not path.is_symlink()), None)
