"""Record files: what is written down of a message before the MTA is told to hold it.

A directory with three folders, all of one file system:

    tmp/    being written; what a dead writer left there is worth nothing, since nobody was answered
    new/    complete, and not in the store yet
    kept/   in the store; it stays as long as the message waits, as this host's own proof that it was quarantined

A record is written, fsynced and renamed before the MTA is answered, so that whatever is killed afterwards, the MTA
holds nothing that has no record. Only the standard library is needed to read and write one. A reader trusts nothing:
the file must be a regular one of the expected owner, of bounded size, and say everything in the right type.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from forebay import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DIRECTORY: Final = "records"
TMP, NEW, KEPT = "tmp", "new", "kept"
FOLDERS: Final = (TMP, NEW, KEPT)

POSTFIX, SENDMAIL = "postfix", "sendmail"
"""The MTAs whose quarantine forebay can act on."""

MOST_HEADER: Final = 262_144
"""Bytes of the header that are kept: fields beyond are left out."""
MOST_RECIPIENTS: Final = 100
MOST_BYTES: Final = 8 << 20
"""A longer file is none of ours: each byte of the header takes six in JSON at most."""

_VERSION: Final = 1
_ID: Final = re.compile(r"[0-9a-f]{20}")
_SENDMAIL: Final = re.compile(r"8\.\d+\.\d+[^ ]*")
_MOST_TEXT: Final = 2000


class RecordError(Exception):
    """A file that is no record, or not one of ours; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class RecordedFinding:
    """A finding as `forebay.message.finding.Finding` has it; `action` is a word."""

    id: str
    field: bytes
    field_index: int
    start: int
    end: int
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a message at its verdict.

    `id` sorts by time. `action` is what was answered: `quarantine` makes an entry, anything else is only a hit of the
    fingerprint `matched`. `at` is in seconds since 1970, `size` in bytes of the header, `recipient_count` counts those
    that are not listed too. `exact`, `shape` and `matched` are fingerprints in hexadecimal digits, or empty. `header`
    are the fields as the milter got them, at most `MOST_HEADER` bytes of them. `mta` is the kind of MTA that holds it.
    """

    id: str
    at: float
    host: str
    action: str
    queue_id: str
    client: str
    sender: bytes
    recipients: tuple[bytes, ...]
    recipient_count: int
    size: int
    exact: str
    shape: str
    matched: str
    findings: tuple[RecordedFinding, ...]
    header: tuple[tuple[bytes, bytes], ...]
    mta: str = POSTFIX


def mta_of(version: str) -> str:
    """The kind of MTA whose macro `v` this is: Sendmail says its version alone, Postfix its name and its version."""
    return SENDMAIL if _SENDMAIL.fullmatch(version) else POSTFIX


def new_id(now: float) -> str:
    """An id: eleven digits of milliseconds, nine of chance."""
    return f"{int(now * 1000):011x}{int.from_bytes(os.urandom(5)) & 0xFFFFFFFFF:09x}"


def is_id(text: str) -> bool:
    """Whether this may be an id: it never names another folder."""
    return _ID.fullmatch(text) is not None


def bounded(header: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """The first fields of a header, as many as a record keeps."""
    room, kept = MOST_HEADER, []
    for name, value in header:
        room -= len(name) + len(value)
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)


class Records:
    """The directory of record files. The methods raise OSError where the file system does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, owner: tuple[int, int] | None = None, mode: int = 0o700) -> None:
        """Make what is missing of the directory; `owner` (uid, gid) is given to what is made."""
        for path in (self._directory, *(self._directory / each for each in FOLDERS)):
            with suppress(FileExistsError):
                path.mkdir(mode=mode)
                if owner:
                    os.chown(path, *owner)

    def write(self, record: Record, *, durable: bool = True) -> None:
        """Store a record in `new/`; when this returns it survives a power failure, if it is to be `durable`."""
        tmp, new = self._directory / TMP / record.id, self._directory / NEW
        data = json.dumps(_plain(record), ensure_ascii=True, separators=(",", ":")).encode("ascii")
        descriptor = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(descriptor)
            tmp.rename(new / record.id)
        except BaseException:
            with suppress(OSError):
                tmp.unlink()
            raise
        if durable:
            files.sync_directory(new)

    def new(self) -> list[str]:
        """The ids in `new/`, in their order."""
        return sorted(filter(is_id, os.listdir(self._directory / NEW)))  # noqa: PTH208 - names are wanted, not paths

    def kept(self) -> list[str]:
        """The ids in `kept/`, in their order."""
        return sorted(filter(is_id, os.listdir(self._directory / KEPT)))  # noqa: PTH208 - names are wanted, not paths

    def changed(self) -> int:
        """A number that is another one when a record has come into `new/`, or gone from it."""
        return (self._directory / NEW).stat().st_mtime_ns

    def read(self, record_id: str, folder: str = NEW, owner: int | None = None) -> Record:
        """A record. Raises RecordError for what is none, FileNotFoundError where there is none."""
        return read(self._directory / folder / record_id, record_id, owner)

    def keep(self, record_id: str) -> None:
        """It is in the store: move it out of the way."""
        (self._directory / NEW / record_id).rename(self._directory / KEPT / record_id)

    def take_back(self, record_id: str) -> None:
        """The store has lost it: it is new again."""
        (self._directory / KEPT / record_id).rename(self._directory / NEW / record_id)

    def drop(self, record_id: str, folder: str = KEPT) -> None:
        """Remove one that nobody needs any more, if it is there."""
        (self._directory / folder / record_id).unlink(missing_ok=True)

    def tidy(self, older_than: float = 3600.0) -> None:
        """Remove what dead writers left behind, when it is this many seconds old."""
        for path in _paths(self._directory / TMP):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > older_than:
                    path.unlink()


def read(path: Path, record_id: str, owner: int | None = None) -> Record:
    """The record in a file, which must be regular, have one name, and belong to `owner` (a uid; None for anybody).

    Raises RecordError for what is no record, FileNotFoundError where there is no file, else OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise RecordError("a symbolic link") from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise RecordError("not a regular file")
        if found.st_nlink > 1:
            raise RecordError("a file with several names")
        if owner is not None and found.st_uid != owner:
            raise RecordError(f"a file of user {found.st_uid} instead of {owner}")
        if found.st_size > MOST_BYTES:
            raise RecordError(f"{found.st_size} bytes, more than a record has")
        data = file.read(MOST_BYTES + 1)
    return parse(data, record_id)


def parse(data: bytes, record_id: str) -> Record:
    """The record that these bytes are. Raises RecordError, and nothing else, for any bytes."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise RecordError("not JSON") from None
    try:
        return _record(given, record_id)
    except (KeyError, TypeError, ValueError, UnicodeError) as error:
        raise RecordError(f"not what a record has: {type(error).__name__} {str(error)[:100]!r}") from None


def _plain(record: Record) -> dict[str, Any]:
    plain = {each.name: getattr(record, each.name) for each in fields(record)}
    plain["version"] = _VERSION
    plain["sender"] = record.sender.decode("latin-1")
    plain["recipients"] = [each.decode("latin-1") for each in record.recipients]
    plain["findings"] = [asdict(each) | {"field": each.field.decode("latin-1")} for each in record.findings]
    plain["header"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in record.header]
    return plain


def _record(given: Any, record_id: str) -> Record:
    if not isinstance(given, dict) or _integer(given["version"]) != _VERSION:
        raise ValueError("version")
    if given["id"] != record_id or not is_id(record_id):
        raise ValueError("id")
    return Record(
        id=record_id,
        at=_number(given["at"]),
        host=_text(given["host"]),
        action=_text(given["action"]),
        queue_id=_text(given["queue_id"]),
        client=_text(given["client"]),
        sender=_bytes(given["sender"]),
        recipients=tuple(_bytes(each) for each in _list(given["recipients"], MOST_RECIPIENTS)),
        recipient_count=_count(given["recipient_count"]),
        size=_count(given["size"]),
        exact=_digest(given["exact"]),
        shape=_digest(given["shape"]),
        matched=_digest(given["matched"]),
        findings=tuple(_finding(each) for each in _list(given["findings"], 256)),
        header=tuple(_field(each) for each in _list(given["header"], MOST_HEADER)),
        mta=_text(given.get("mta", POSTFIX)),
    )


def _finding(given: Any) -> RecordedFinding:
    return RecordedFinding(
        id=_text(given["id"]),
        field=_bytes(given["field"]),
        field_index=_integer(given["field_index"]),
        start=_integer(given["start"]),
        end=_integer(given["end"]),
        message=_text(given["message"]),
        action=_text(given["action"]),
    )


def _field(given: Any) -> tuple[bytes, bytes]:
    name, value = _list(given, 2)
    return _bytes(name), _bytes(value)


def _list(given: Any, most: int) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        raise TypeError("a list")
    return given


def _text(given: Any) -> str:
    if not isinstance(given, str) or len(given) > _MOST_TEXT or not (given.isprintable() and given.isascii()):
        raise TypeError("a line of ASCII")
    return given


def _digest(given: Any) -> str:
    if given != "" and not re.fullmatch(r"[0-9a-f]{32}", _text(given)):
        raise ValueError("a fingerprint")
    return _text(given)


def _bytes(given: Any) -> bytes:
    if not isinstance(given, str):
        raise TypeError("bytes")
    return given.encode("latin-1")


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 1e11:
        raise ValueError("a time")
    return float(given)


def _integer(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or abs(given) >= 1 << 31:
        raise ValueError("a number")
    return given


def _count(given: Any) -> int:
    number = _integer(given)
    if number < 0:
        raise ValueError("a count")
    return number


def _paths(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()
