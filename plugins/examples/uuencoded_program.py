"""A validator that reads the first chunk of the body: programs in the encoding that was there before MIME."""

import re
from collections.abc import Iterable

from forebay.api import QUARANTINE, BodyStartValidator, Example, Finding, Header, Plugin, validator

# Possessive (++): the bytes are hostile, and a pattern that can go back may take for ever.
BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} ([^\r\n]++)")
HEADER = b"From: a@example.org\nSubject: report\n"


@validator(
    id="uuencoded-program",
    rfc="",
    action=QUARANTINE,
    good=[
        Example(HEADER, body=b"We begin 600 years ago.\r\n"),
        Example(HEADER, body=b"begin 644 report.txt\r\n"),
    ],
    bad=[Example(HEADER, body=b"See below.\r\n\r\nbegin 644 report.EXE\r\nM35J0``,````\r\n`\r\nend\r\n")],
)
class UuencodedProgram(BodyStartValidator):
    """Holds a message that brings a program as uuencoded text in its body.

    Filters that look for attachments do not see it, since no MIME field tells of it; old mail programs show it as an
    attachment all the same.
    """

    suffixes: tuple[str, ...] = (".bat", ".com", ".exe", ".js", ".scr", ".vbs")

    def check(self, start: bytes, header: Header) -> Iterable[Finding]:  # noqa: ARG002 - the header is not needed
        """Report the first program. The offsets count in the chunk."""
        suffixes = tuple(each.lower().encode() for each in self.suffixes)
        for begin in BEGIN.finditer(start):
            if begin[1].rstrip().lower().endswith(suffixes):
                yield self.find("uuencoded program", b"body", *begin.span())
                return


plugin = Plugin(name="uuencoded-program", api=1, validators=(UuencodedProgram,))
