"""Killers of as many shapes as are wanted, evil in the header or in an envelope recipient alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.config import Config
from forebay.judge.fingerprints import load_judge_and_matcher
from forebay.message.envelope import Envelope
from forebay.testing.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.sidecar_kit import Site

_IN_FIELD: Final = ('"joe{}@example.com', "a@b@c{}@example.com", "<joe{}@example.com", "joe{}@[192.0.2.1")
_IN_PATH: Final = ('<bob{}@[127.0.0."1]>', "<bob{}@[127.0.0.1>", '<b"ob{}@example.com>', "<bob{}@a@example.com>")
_PIECES: Final = ("<@;", "((", '""', "[x", "a:b", ";;", "\\", ",<", "@@", ")a", "]", ">(", ". ", "''")
_HEADER: Final = (
    b"Received: from elsewhere\nFrom: other@example.net\nTo: c@example.net\n"
    b"Date: Fri, 27 Nov 2026 11:11:11 +0000\nSubject: something else\n"
)

MATCHER: Final = load_judge_and_matcher(Config())[1]


@dataclass(frozen=True, slots=True)
class Killer:
    """One of them: what its field Cc is, its recipient's path, and what the stand-in router does when it has it."""

    name: str
    cc: str
    path: str
    do: str = "crash"

    def put(self, site: Site) -> Path:
        """Put it into the spool, as an MTA would deliver it; its path."""
        made = site.root / "tmp" / self.name
        made.write_text(
            f"from <k@example.org>\nto {self.path}\nenv-end\nFrom: k@example.org\nTo: b@example.com\n"
            f"Date: Thu, 26 Nov 2026 01:00:00 +0000\nSubject: hello\nMessage-ID: <{self.name}@example.org>\n"
            f"{f'X-Do: {self.do}' if self.do else 'X-Good: yes'}\nCc: {self.cc}\n\nbody\n",
            "latin-1",
        )
        path = site.queue / str(made.stat().st_ino)
        made.rename(path)
        return path

    @property
    def following(self) -> Message:
        """The same kind of message, as the milter sees the next one: of another sender, with other fields, no body."""
        text = _HEADER + f"Message-ID: <next-{self.name}@example.net>\nCc: {self.cc}\n".encode()
        return Message(Message.parse(text).fields, recipients=(self.path.encode(),))

    @property
    def shape(self) -> bytes:
        """Its shape; nothing where it has none."""
        message = self.following
        return MATCHER.digests(message.fields, Envelope(message.sender, message.recipients))[1] or b""


def killers(number: int, *, in_envelope: bool) -> list[Killer]:
    """So many, each of another shape."""
    chance = random.Random(6)
    found: dict[bytes, Killer] = {}
    while len(found) < number:
        filling = "".join(chance.choices(_PIECES, k=chance.randrange(1, 7)))
        cc = "ann@example.com" if in_envelope else chance.choice(_IN_FIELD).format(filling)
        path = chance.choice(_IN_PATH).format(filling.replace(" ", "")) if in_envelope else "<b@example.com>"
        made = Killer(f"killer{len(found)}-{'envelope' if in_envelope else 'header'}", cc, path)
        if made.shape:
            found.setdefault(made.shape, made)
    return list(found.values())
