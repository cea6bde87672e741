"""The quarantine of a Sendmail: its `hf` files, their release and their deletion by queue id.

Sendmail has no command that tells of one message, so its control files are read. Whoever acts compares sender, time,
size and the inode of the body with what was seen before (`forebay.store.hands`). A release is Sendmail's own command,
always with a queue id: `-qQ` alone would deliver everything. A deletion has no command: the two files are removed while
Sendmail's lock on the first is ours.
"""

# ruff: noqa: S603 - runs Sendmail's own command, with a queue id that has letters and digits only

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from forebay.errors import UnavailableError
from forebay.message import controlfile
from forebay.store.queues import HOLD, Queued

NAME: Final = "sendmail"
CONFIG: Final = "/etc/mail/sendmail.cf"
TIMEOUT: Final = 120.0
_MOST_CONTROL: Final = 16 << 20
_TRIES, _PAUSE = 10, 0.2
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{8,40}")
_DIRECTORY: Final = re.compile(r"O[ \t]*QueueDirectory[ \t]*=[ \t]*(\S+)")
_GROUP: Final = re.compile(r"Q[^,]+,(?:.*,)?[ \t]*P(?:ath)?[ \t]*=[ \t]*([^, \t]+)")
_PLACES: Final = {"hf": HOLD, "qf": "queue"}


class Quarantine:
    """The queue of the Sendmail whose sendmail.cf this is; empty for the default one.

    Its commands run with `environment`. `delivers`: whether what is released is tried at once, by a process of ours;
    where a sidecar guards Sendmail itself, the next queue run takes it, inside its limits.
    """

    def __init__(self, config: str = "", environment: dict[str, str] | None = None, *, delivers: bool = True) -> None:
        self._config = config or CONFIG
        self._environment = environment or {**os.environ, "LANG": "C"}
        self._delivers = delivers
        self._runs: list[subprocess.Popen[bytes]] = []

    def listed(self) -> Mapping[str, Queued]:
        """What is in the queue, by queue id; only those that are asked for are looked at."""
        return _Listed(folders(self._config))

    def release(self, held: Queued) -> None:
        """Let a message go on: at once where that may be, else with Sendmail's next queue run."""
        found = folders(self._config)
        _check_alone(held.queue_id, found)
        for _ in range(_TRIES):
            self._run("-qQ", "-Q", f"-qI{_checked(held.queue_id)}")
            there = _Listed(found).get(held.queue_id)
            if there is None or there.queue != HOLD:
                break
            time.sleep(_PAUSE)  # somebody has it locked
        else:
            raise UnavailableError("Sendmail did not release it: is it busy with it?")
        if self._delivers:
            self._deliver(held.queue_id)

    def delete(self, held: Queued) -> None:
        """Remove a message for good. Killed between the two files, we leave a body that Sendmail never looks at."""
        with _locked(folders(self._config), held) as (control, body):
            control.unlink()
            _sync(control.parent)
            body.unlink(missing_ok=True)
            _sync(body.parent)

    def message(self, held: Queued) -> bytes:
        """The header, as the client wrote it and the milters changed it, and the body."""
        with _locked(folders(self._config), held) as (control, body):
            found = _parsed(control, held.queue_id)
            assert found
            header = b"".join(b"%b:%b\n" % field for field in found.fields)
            return header + b"\n" + body.read_bytes()

    def _deliver(self, queue_id: str) -> None:
        """Begin to deliver it, and do not wait: that may take long."""
        self._runs = [each for each in self._runs if each.poll() is None]
        with suppress(OSError):
            self._runs.append(
                subprocess.Popen(
                    self._command("-q", f"-qI{queue_id}"), env=self._environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                )
            )  # fmt: skip

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return ("sendmail", f"-C{self._config}", *arguments)

    def _run(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                self._command(*arguments), env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
                check=False, timeout=TIMEOUT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"sendmail: {error}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).decode("ascii", "backslashreplace").strip().splitlines()
            raise UnavailableError(f"sendmail: {said[-1] if said else f'status {done.returncode}'}")


class _Listed(Mapping[str, Queued]):
    """The queue, read where it is asked for. Iteration is over what is quarantined."""

    def __init__(self, places: list[tuple[Path, Path]]) -> None:
        self._places = places

    def __getitem__(self, queue_id: str) -> Queued:
        found = _find(queue_id, self._places)
        if not found:
            raise KeyError(queue_id)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        for control, _ in self._places:
            yield from (each.name[2:] for each in control.glob("hf*") if _QUEUE_ID.fullmatch(each.name[2:]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def folders(config: str) -> list[tuple[Path, Path]]:
    """Where control files and bodies lie: the queue directories that sendmail.cf names. Raises UnavailableError.

    A last `*` stands for all directories whose names begin so; in each, `qf` and `df` may be directories of their own
    (op.me, section "Queue groups and queue directories").
    """
    try:
        lines = Path(config).read_text("ascii", "replace").splitlines()
    except OSError as error:
        raise UnavailableError(f"{config}: {error.strerror}: forebay reads there where Sendmail's queue is") from None
    main = next((found[1] for found in map(_DIRECTORY.match, lines) if found), "/var/spool/mqueue")
    named = [main, *(found[1] for found in map(_GROUP.match, lines) if found)]
    base = Path(main).parent if main.endswith("*") else Path(main)
    places: dict[Path, Path] = {}
    for each in named:
        path = base / each
        for queue in sorted(path.parent.glob(path.name)) if each.endswith("*") else [path]:
            if queue.is_dir():
                control, body = queue / "qf", queue / "df"
                places[control if control.is_dir() else queue] = body if body.is_dir() else queue
    if not places:
        raise UnavailableError(f"{main}: there is no queue of Sendmail")
    return list(places.items())


def _find(queue_id: str, places: list[tuple[Path, Path]]) -> tuple[Queued, Path, Path] | None:
    """A message, and where its two files are."""
    if not _QUEUE_ID.fullmatch(queue_id):
        return None
    for kind, place in _PLACES.items():
        for folder, _ in places:
            control = folder / f"{kind}{queue_id}"
            found = _parsed(control, queue_id)
            body = _body(queue_id, folder, places) if found else None
            if found and body:
                status = body.lstat()
                size = sum(len(name) + len(value) + 2 for name, value in found.fields) + status.st_size
                sender = found.sender.decode("utf-8", "backslashreplace")
                identity = f"{status.st_dev}:{status.st_ino}"
                return Queued(place, queue_id, sender, found.arrival, size, identity), control, body
    return None


def _parsed(control: Path, queue_id: str) -> controlfile.ControlFile | None:
    try:
        descriptor = os.open(control, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return controlfile.parse(file.read(_MOST_CONTROL), queue_id.encode())


def _body(queue_id: str, folder: Path, places: list[tuple[Path, Path]]) -> Path | None:
    """The body's file: normally beside its control file."""
    nearest_first = sorted(places, key=lambda place: place[0] != folder)
    paths = (body / f"df{queue_id}" for _, body in nearest_first)
    return next((path for path in paths if path.is_file() and not path.is_symlink()), None)


@contextmanager
def _locked(places: list[tuple[Path, Path]], held: Queued) -> Iterator[tuple[Path, Path]]:
    """The two files of a quarantined message, with the lock that Sendmail itself takes; for exactly this one."""
    found = _find(held.queue_id, places)
    if found is None or found[0] != held:
        raise UnavailableError("another message has its queue id, or it is gone")
    _, control, body = found
    descriptor = os.open(control, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Sendmail is built for one of the two kinds of lock, or the other.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        again = _find(held.queue_id, places)
        if again != found or os.fstat(descriptor).st_ino != control.lstat().st_ino:
            raise UnavailableError("another message has its queue id")
        yield control, body
    except BlockingIOError:
        raise UnavailableError("Sendmail is busy with it") from None
    except OSError as error:
        raise UnavailableError(f"{error.filename or control}: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _check_alone(queue_id: str, places: list[tuple[Path, Path]]) -> None:
    """`-qI` takes every queue id that has this one in it: then nobody is released."""
    others = [each for each in _Listed(places) if queue_id in each and each != queue_id]
    if others:
        raise UnavailableError(f"Sendmail would release {others[0]} as well")


def _checked(queue_id: str) -> str:
    if not _QUEUE_ID.fullmatch(queue_id):
        raise UnavailableError("this is no queue id")
    return queue_id


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
