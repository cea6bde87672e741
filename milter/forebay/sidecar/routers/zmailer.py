"""ZMailer's router, in both of its claim styles.

Old: a router renames `router/<inode>` to `<inode>-<pid>`. New: a child opens the file and takes a write lock on it;
one that waits for the lock has the file open too, and does not hold it. The name of a message begins with a digit;
any other name hides a file. `spool` is POSTOFFICE, and nothing is ever set aside in its deferred/ or postman/.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, ClassVar, Final

from forebay.api.router import (
    Adapter,
    Confidence,
    Envelope,
    Holding,
    Message,
    Process,
    Reading,
    Site,
    opened,
    start_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME: Final = re.compile(r"(?P<inode>\d+)(?:-(?P<pid>\d{1,10}))?")
_ROUTER: Final = re.compile(r"router\d?")
_FOLDER: Final = re.compile(r"[A-Z]")
_OWN: Final = ("public", "queue", "transport", "deferred", "postman")
_MOST_ENVELOPE: Final = 1 << 18
_RECIPIENTS: Final = 1000


class ZMailer(Adapter):
    """Its directories below POSTOFFICE: router*/ with subdirectories A to Z, public/, queue/, transport/."""

    file_size: ClassVar[int] = 256 << 20
    locks: ClassVar[bool | None] = True

    def __init__(self, site: Site) -> None:
        self._office = site.spool[0].rstrip("/") if site.spool else ""
        super().__init__(site)

    def directories(self) -> tuple[str, ...]:
        """All but those of the gate: writers go on delivering into router/, and INPUTDIRS names others."""
        found: list[str] = []
        for name in sorted(_names(self._office)):
            if _ROUTER.fullmatch(name):
                found.append(f"{self._office}/{name}")
                found += [f"{self._office}/{name}/{each}" for each in sorted(_names(f"{self._office}/{name}"))
                          if _FOLDER.fullmatch(each)]  # fmt: skip
        doors = tuple(f"{each.rstrip('/')}/" for each in self.site.input)
        return tuple(each for each in found if not f"{each}/".startswith(doors))

    def mistakes(self) -> list[tuple[str, str]]:
        found = super().mistakes()
        office = self._office
        if len(self.site.spool) > 1:
            found.append(("spool", "write one directory, ZMailer's POSTOFFICE"))
        elif os.path.isdir(office) and not os.path.isdir(f"{office}/router"):
            found.append(("spool", f"{office} is no POSTOFFICE of ZMailer: there is no directory router in it"))
        elif os.path.isdir(office) and not self.directories():
            found.append(("input", "name another directory in ZMailer's INPUTDIRS: it reads this one itself"))
        if self.site.aside.rstrip("/") in {f"{office}/{name}" for name in _OWN}:
            found.append(("aside", "must not be a directory of ZMailer's own"))
        return found

    def takes(self, name: str) -> bool:
        return name[:1].isdigit()

    def names_claims(self) -> bool:
        return True

    def claimant(self, path: str) -> int:
        found = _NAME.fullmatch(path.rpartition("/")[2])
        return int(found["pid"] or 0) if found else 0

    def find(self, message: Message) -> Message | None:
        """A message keeps its inode, and its name begins with it: only names like that are looked at."""
        here = self.message(message.path)
        if here and here.identity == message.identity:
            return here
        inode = str(int.from_bytes(message.identity[8:16], "big"))
        for path in self.paths():
            if path.rpartition("/")[2].startswith(inode):
                there = self.message(path)
                if there and there.identity == message.identity:
                    return there
        return None

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        found: dict[bytes, Holding] = {}
        locked = opened(worker.pid, self.below, locked=True)  # one that waits for a lock has none
        for each in opened(worker.pid, self.below):
            here = self.message(each.path) if self.is_message(each.path) else None
            if not here:
                continue
            if self.claimant(each.path) == worker.pid:
                found[here.identity] = Holding(here, Confidence.CERTAIN, "name")
            elif each in locked:
                confidence = Confidence.OBSERVED if at_rest else Confidence.SAMPLED
                found[here.identity] = Holding(here, confidence, "lock")
        return list(found.values())

    def read(self, path: str) -> Reading:
        return parse(start_of(path))

    def place(self, original: str, status: os.stat_result) -> str:
        """Into the router's directory under the plain inode number: one rename, as its own protocol ends."""
        folder = original.rpartition("/")[0]
        return f"{folder}/{status.st_ino}"

    def leftovers(self, worker: Process, held: Iterable[Message]) -> list[str]:
        """Its half-written public files, and the hidden control files of what it had in hand."""
        public = f"{self._office}/public"
        found = [f"{public}/{name}" for name in _names(public) if name.endswith(f":{worker.pid}")]
        hidden = {f".{int.from_bytes(each.identity[8:16], 'big')}" for each in held}
        return found + [path for path in _below(f"{self._office}/transport") if path.rpartition("/")[2] in hidden]

    def stuck(self) -> list[str]:
        """Queue files without their twin in transport/: mail that nobody will look at again."""
        twins = {path.rpartition("/")[2] for path in _below(f"{self._office}/transport")}
        return [path for path in _below(f"{self._office}/queue") if path.rpartition("/")[2] not in twins]


def parse(data: bytes) -> Reading:
    """A message file: lines `keyword value` up to the header, of which `from` and `to` make the envelope."""
    sender, start = b"<>", 0
    recipients: list[bytes] = []
    while start < min(len(data), _MOST_ENVELOPE):
        stop = data.find(b"\n", start)
        if stop < 0:
            break
        line = data[start:stop].rstrip(b"\r")
        keyword, blank, value = line.partition(b" ")
        if keyword == b"env-end":
            start = stop + 1
            break
        if not keyword.isalnum() and keyword.rstrip(b":") != keyword:
            break  # a field: the envelope had no end of its own
        if blank and keyword == b"from":
            sender = value.strip()
        elif blank and keyword == b"to" and len(recipients) < _RECIPIENTS:
            recipients.append(value.strip())
        start = stop + 1
    return Reading(Envelope(sender=sender, recipients=tuple(recipients)), data[start:])


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _below(folder: str) -> Iterator[str]:
    for where, _, names in os.walk(folder):
        yield from (f"{where}/{name}" for name in names)
