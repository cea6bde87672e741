"""The usual address lists: compiled expressions know them, and say in one step what is in them.

The productions of RFC 5322 section 3.4, without what is obsolete, ambiguous or rare: no comments, no groups, no routes.
What they do not know is read by `rfc5322_address` byte by byte, which comes to the same for what they know, and takes
twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern

if TYPE_CHECKING:
    import re

_FWS: Final = rb"(?:[ \t]++(?:\n[ \t]++)?+|\n[ \t]++)?+"  # section 3.2.2, folds as LF
_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++"  # section 3.2.3, in a display name
_QUOTED: Final = (  # section 3.2.4, without what may be an encoded-word
    rb'"(?:[\x20!#-<>-\[\]-~\t\x80-\xff]++|=(?!\?)|\n(?=[ \t])|\\(?!=\?)[\x20-~])*+"'
)
_LABEL: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9]|-++(?=[A-Za-z0-9]))*+"  # RFC 5321 section 4.1.2
_ADDR_SPEC: Final = (  # section 3.4.1; local part at most 64 bytes, without what routes or encodes
    rb"(?=[^@]{1,64}@)[A-Za-z0-9#$&'*+/=^_`{|}~-]++(?:\.[A-Za-z0-9#$&'*+/=^_`{|}~-]++)*+@"
    + _LABEL
    + rb"(?:\."
    + _LABEL
    + rb")*+"
)
_WORD: Final = rb"(?:" + _ATOM + rb"|" + _QUOTED + rb")"
_DISPLAY_NAME: Final = rb"(?:" + _WORD + _FWS + rb")*+"
_NAME_ADDR: Final = _DISPLAY_NAME + rb"<" + _ADDR_SPEC + rb">"
_MAILBOX: Final = rb"(?>" + _ADDR_SPEC + rb"(?=" + _FWS + rb"(?:,|\Z))|" + _NAME_ADDR + rb")"

_ONE: Final = pattern.compile(_FWS + _MAILBOX + _FWS)
_LIST: Final = pattern.compile(_FWS + _MAILBOX + rb"(?:" + _FWS + rb"," + _FWS + _MAILBOX + rb")*+" + _FWS)

# A mailbox with a comma behind it, and some of them.
_FIRST: Final = pattern.compile(_FWS + _MAILBOX + _FWS + rb",")
_RUN: Final = pattern.compile(rb"(?:" + _FWS + _MAILBOX + _FWS + rb",){1,500}+")

# Within a value that is known: the display name of each mailbox with its "<", if any, and the addr-spec. With all that
# is around them, so that one match begins where the last has ended: between two, every blank would be tried.
_PARTS: Final = pattern.compile(_FWS + rb"(" + _DISPLAY_NAME + rb"<)?+(" + _ADDR_SPEC + rb")>?+" + _FWS + rb",?+")
_WORDS: Final = pattern.compile(_WORD)

_BIDI: Final = pattern.compile(rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf")
"""UTF-8 of U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F and U+FEFF."""


def recognise_mailbox(value: bytes) -> bool:
    """True for the common forms of one mailbox, as From and Sender have it; False says nothing."""
    return _ONE.fullmatch(value) is not None and invisible(value) is None


def recognise_list(value: bytes) -> bool:
    """True for the common forms of a list of mailboxes; False says nothing."""
    return _LIST.fullmatch(value) is not None and invisible(value) is None


def invisible(value: bytes) -> re.Match[bytes] | None:
    """Where a character is invisible, or turns the direction of writing: the reader notes it."""
    return None if value.isascii() else _BIDI.search(value)


@dataclass(frozen=True, slots=True)
class Counted:
    """How much there is in usual mailboxes: words of the longest display name, bytes of the longest address."""

    addresses: int
    quoted: int
    words: int
    longest: int


def count(value: bytes, start: int, end: int) -> Counted:
    """Count what is in `value[start:end]`, which is recognised or a run."""
    parts = _PARTS.findall(value, start, end)
    words = [_WORDS.findall(phrase) for phrase, _ in parts]
    quoted = sum(word.startswith(b'"') for each in words for word in each) if b'"' in value else 0
    return Counted(len(parts), quoted, max(map(len, words)), max(len(addr_spec) for _, addr_spec in parts))


def display_name_of(value: bytes, start: int, end: int, words: int) -> tuple[int, int]:
    """Where in `value[start:end]` the first display name of so many words is."""
    found = next(each for each in _PARTS.finditer(value, start, end) if len(_WORDS.findall(each[1] or b"")) == words)
    return found.start(1), found.end(1) - 1


def address_of(value: bytes, start: int, end: int, size: int) -> tuple[int, int]:
    """Where in `value[start:end]` the first address of so many bytes is."""
    return next(each.span(2) for each in _PARTS.finditer(value, start, end) if len(each[2]) == size)


def begins(value: bytes, start: int) -> bool:
    """Whether a usual mailbox with a comma behind it begins here."""
    return _FIRST.match(value, start) is not None


def end_of_run(value: bytes, start: int) -> int:
    """Where the usual mailboxes end that stand at a place where an element begins; `start` if there are none.

    The comma behind each belongs to the run, which has 500 mailboxes at most.
    """
    found = _RUN.match(value, start)
    return found.end() if found else start
