"""Address lists: RFC 5322 section 3.4, with the obsolete forms of 4.4 and the groups of RFC 6854."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from forebay.message import pattern
from forebay.message.address_events import HANDLERS
from forebay.message.address_reading import Mailbox, Reading
from forebay.message.address_table import AUTOMATON, PURE, SHIFT, State
from forebay.message.diagnosis import Diagnosis

__all__ = ["MOST_ERRORS", "AddressList", "Mailbox", "recognise_list", "recognise_mailbox", "scan"]

MOST_ERRORS: Final = 1000
"""The scanner stops at so many syntax errors in one value: no parser is safe with it by then, and nobody reads more."""

# -- Recognition: the productions of RFC 5322, without what is obsolete, ambiguous or rare --

_FWS: Final = rb"(?:[ \t]++(?:\n[ \t]++)?+|\n[ \t]++)?+"  # section 3.2.2, folds as LF
_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"  # section 3.2.3
_PHRASE_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++"
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
_DISPLAY_NAME: Final = rb"(?:(?:" + _PHRASE_ATOM + rb"|" + _QUOTED + rb")" + _FWS + rb")*+"
_NAME_ADDR: Final = _DISPLAY_NAME + rb"<" + _ADDR_SPEC + rb">"
_MAILBOX: Final = rb"(?>" + _ADDR_SPEC + rb"(?=" + _FWS + rb"(?:,|\Z))|" + _NAME_ADDR + rb")"

_ONE: Final = pattern.compile(_FWS + _MAILBOX + _FWS)
_LIST: Final = pattern.compile(_FWS + _MAILBOX + rb"(?:" + _FWS + rb"," + _FWS + _MAILBOX + rb")*+" + _FWS)

MOST_TOKENS: Final = 65_536
"""Tokens that are counted in one value."""

_TOKEN: Final = (
    pattern.compile(  # section 3.2.3 and 3.2.4: an atom, a quoted string, a comment or a special, and blanks
        rb"(?:[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]++"
        rb'|"(?:[^"\\]|\\.)*+"?+|\((?:[^()\\]|\\.)*+\)?+|[()<>\[\]:;@\\,.])[\x00-\x20\x7f]*+',
        re.DOTALL,
    )
)

_BIDI: Final = pattern.compile(rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf")
"""UTF-8 of U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F and U+FEFF."""


def recognise_mailbox(value: bytes) -> bool:
    """True for the common forms of one mailbox, as From and Sender have it; False says nothing."""
    return _ONE.fullmatch(value) is not None and _plain(value)


def recognise_list(value: bytes) -> bool:
    """True for the common forms of a list of mailboxes; False says nothing."""
    return _LIST.fullmatch(value) is not None and _plain(value)


def _plain(value: bytes) -> bool:
    """No character is invisible: where one may be, the scanner looks."""
    return value.isascii() or not _BIDI.search(value)


# -- Diagnosis --


@dataclass(frozen=True, slots=True)
class AddressList:
    """What was read: the first mailboxes (at most 64), and what is wrong with the value."""

    mailboxes: tuple[Mailbox, ...]
    diagnosis: Diagnosis


def scan(value: bytes, *, author: bool = False, optional: bool = False, smtputf8: bool = False) -> AddressList:
    """Read an address list, whatever the bytes.

    `author` where one mailbox and no group is expected, `optional` where there need be no address: Bcc (RFC 5322
    section 3.6.3).
    """
    if not value.strip(b" \t\n"):
        return _nothing(len(value), optional=optional)
    reading = read(value, author=author, optional=optional, smtputf8=smtputf8)
    bidi = None if value.isascii() else _BIDI.search(value)
    if bidi:
        reading.diagnosis.note("bidi-or-zero-width", *bidi.span(), "invisible character")
    return AddressList(tuple(reading.mailboxes), reading.diagnosis)


def _nothing(size: int, *, optional: bool) -> AddressList:
    """What is read in a value of blanks: many programs write fields without one."""
    diagnosis = Diagnosis()
    if not optional:
        diagnosis.note("list-empty", 0, size, "no address")
    return AddressList((), diagnosis)


def read(value: bytes, *, author: bool = False, optional: bool = False, smtputf8: bool = False) -> Reading:
    """One pass over the bytes: the table says what each one does."""
    reading = Reading(value, author=author, optional=optional)
    steps, events, handlers = AUTOMATON.steps, AUTOMATON.events, _HANDLERS
    pure, plain = len(PURE), 1 << SHIFT
    state = State.START
    classes = AUTOMATON.classes_utf8 if smtputf8 else AUTOMATON.classes
    for at, kind in enumerate(value.translate(classes)):
        step = steps[state + kind]
        if step < plain:
            state = step
            continue
        event = step >> SHIFT
        if event > pure:
            state = handlers[event](reading, at, state, step & (plain - 1), kind)
        else:
            reading.note(events[event], at, at + 1, PURE[events[event]])
            state = step & (plain - 1)
        if reading.errors + reading.lapses >= MOST_ERRORS:
            break
    else:
        _end(reading, len(value), state)
    _measure(reading)
    return reading


def _unreachable(*_: object) -> int:
    raise AssertionError("an event without a handler")


_HANDLERS: Final = tuple(HANDLERS.get(event, _unreachable) for event in AUTOMATON.events)


def _end(r: Reading, at: int, state: int) -> None:
    """The value ends: what is still open was never closed, and swallowed all that came after it."""
    if state in {State.QUOTEDPAIR, State.COMMENTPAIR}:
        r.note("quoted-pair-dangling", at - 1, at, "backslash with nothing after it")
    if state in {State.QUOTED, State.QUOTEDPAIR}:
        r.note("quote-unbalanced", r.quote, r.quote + 1, "unbalanced '\"'")
    elif state in {State.COMMENT, State.COMMENTPAIR}:
        r.note("comment-unterminated", r.comment, r.comment + 1, 'unbalanced "("')
    elif state == State.LITERAL:
        r.note("bracket-unbalanced", r.literal, r.literal + 1, 'unbalanced "["')
    elif state == State.PHRASEBRACKET:
        r.note("bracket-unbalanced", r.bracket, r.bracket + 1, 'unbalanced "["')
    elif r.angle >= 0:
        r.note("angle-unbalanced", r.angle, r.angle + 1, 'unbalanced "<"')
    elif state not in {State.AFTER, State.JUNK}:
        _end_list(r, at, state)
    r.end_naked()
    if r.group >= 0:
        r.note("group-unterminated", r.group, r.group + 1, "group that is not closed")


def _end_list(r: Reading, at: int, state: int) -> None:
    if not r.empty:
        r.end_element(at, state)
    elif not (r.optional or r.addresses or "group-depth" in r.diagnosis.peaks or r.diagnosis.defects):
        r.note("list-empty", 0, at, "no address")
    elif r.comma >= 0:
        r.end_element(r.comma, state)


def _measure(r: Reading) -> None:
    diagnosis, end = r.diagnosis, len(r.value)
    tokens = len(_TOKEN.split(r.value, MOST_TOKENS)) - 1  # nothing is between them, and nothing counts them faster
    diagnosis.measure("addresses", r.addresses, 0, end)
    diagnosis.measure("address-tokens", tokens, 0, end)
    errors = r.errors + r.lapses
    diagnosis.measure("address-errors", errors if errors >= MOST_ERRORS else r.errors, 0, end)
    diagnosis.measure("address-bytes", *r.longest)
    diagnosis.measure("dot-run", r.dots_longest, r.dots_end - r.dots_longest, r.dots_end)
    diagnosis.measure("comments", r.comments, 0, end)
    diagnosis.measure("comment-depth", r.deepest, r.deepest_at, r.deepest_at + 1)
    diagnosis.measure("quoted-strings", r.quoted - 4 * r.addresses, 0, end)
