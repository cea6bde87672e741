"""Address lists: RFC 5322 section 3.4, with the obsolete forms of 4.4 and the groups of RFC 6854."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forebay.message import address_tokens, address_usual
from forebay.message.address_events import HANDLERS
from forebay.message.address_reading import Mailbox, Reading
from forebay.message.address_table import AUTOMATON, COMMA, PURE, SHIFT, State
from forebay.message.diagnosis import Diagnosis

__all__ = ["MOST_EFFORT", "MOST_ERRORS", "AddressList", "Mailbox", "scan"]

MOST_ERRORS: Final = 1000
"""The scanner stops at so many syntax errors in one value: no parser is safe with it by then, and nobody reads more."""

MOST_EFFORT: Final = 3000
"""It stops as well at so many bytes in one value that mean something: its time goes into those."""

_STRETCH: Final = 1024
"""Bytes that are read in one go: whoever goes on from a place has so many copied, and not the rest of the value."""


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
    invisible = address_usual.invisible(value)
    if invisible:
        reading.diagnosis.note("bidi-or-zero-width", *invisible.span(), "invisible character")
    return AddressList(tuple(reading.mailboxes), reading.diagnosis)


def _nothing(size: int, *, optional: bool) -> AddressList:
    """What is read in a value of blanks: many programs write fields without one."""
    diagnosis = Diagnosis()
    if not optional:
        diagnosis.note("list-empty", 0, size, "no address")
    return AddressList((), diagnosis)


def measure_usual(value: bytes, *, author: bool = False) -> Diagnosis | None:
    """How much there is in a value that is recognised: the same as is read byte by byte, in half of the time."""
    recognise = address_usual.recognise_mailbox if author else address_usual.recognise_list
    if not recognise(value):
        return None
    reading = Reading(value, author=author)
    reading.take(0, len(value))
    _measure(reading)
    return reading.diagnosis


def read(value: bytes, *, author: bool = False, optional: bool = False, smtputf8: bool = False) -> Reading:
    """One pass over the bytes, from comma to comma in one step where usual mailboxes are between."""
    reading = Reading(value, author=author, optional=optional)
    kinds = value.translate(AUTOMATON.classes_utf8 if smtputf8 else AUTOMATON.classes)
    at, state = 0, State.START
    while at < len(kinds) and not _is_enough(reading):
        at, state = _read_bytes(reading, kinds, at, state)
        if kinds[at - 1] == COMMA and reading.may_skip and state == State.START:
            at = _skip(reading, at)
    if _is_enough(reading):
        reading.end_words(at)  # which may be what there was too much of
    else:
        _end(reading, len(value), state)
    _measure(reading)
    return reading


def _read_bytes(reading: Reading, kinds: bytes, at: int, state: int) -> tuple[int, int]:
    """Read from `at` on: the table says what each byte does. Ends where something may be skipped, or it is enough."""
    steps, events, handlers = AUTOMATON.steps, AUTOMATON.events, _HANDLERS
    pure, plain = len(PURE), 1 << SHIFT
    effort, is_usual = reading.effort, address_usual.begins
    for at, kind in enumerate(kinds[at : at + _STRETCH], at):  # noqa: B020, PLR1704 - goes on from there
        step = steps[state + kind]
        if step < plain:
            state = step
            continue
        effort += 1
        event = step >> SHIFT
        if event > pure:
            state = handlers[event](reading, at, state, step & (plain - 1), kind)
        else:
            reading.note(events[event], at, at + 1, PURE[events[event]])
            state = step & (plain - 1)
        if effort > MOST_EFFORT or reading.errors + reading.lapses >= MOST_ERRORS:
            break
        if kind == COMMA and reading.may_skip and state == State.START and is_usual(reading.value, at + 1):
            break
    reading.effort = effort
    return at + 1, state


def _skip(reading: Reading, at: int) -> int:
    """Take the usual mailboxes behind a comma in one step, if there are any; where they end."""
    end = address_usual.end_of_run(reading.value, at)
    if end > at:
        reading.take(at, end)
        reading.comma = end - 1
    return end


def _is_enough(reading: Reading) -> bool:
    return reading.effort > MOST_EFFORT or reading.errors + reading.lapses >= MOST_ERRORS


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
    diagnosis.effort = r.effort
    diagnosis.measure("addresses", r.addresses, 0, end)
    diagnosis.measure("address-tokens", address_tokens.count(r.value), 0, end)
    errors = r.errors + r.lapses
    diagnosis.measure("address-errors", errors if errors >= MOST_ERRORS else r.errors, 0, end)
    diagnosis.measure("address-bytes", *r.longest)
    diagnosis.measure("dot-run", r.dots_longest, r.dots_end - r.dots_longest, r.dots_end)
    diagnosis.measure("comments", r.comments, 0, end)
    diagnosis.measure("comment-depth", r.deepest, r.deepest_at, r.deepest_at + 1)
    diagnosis.measure("quoted-strings", r.quoted - 4 * r.addresses, 0, end)
