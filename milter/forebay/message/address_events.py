"""What each event of `address_table` means to the `Reading`: one function an event.

Every function gets the place of the byte, the state before it, the state that the table has next, and the byte's
class; it returns the state to go on with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.address_literal import is_address_literal
from forebay.message.address_table import BANG, COMMA, EIGHT, GREATER, LESS, SEMI, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.message.address_reading import Reading

_ENCODED_WORD: Final = pattern.compile(rb"=\?[^?\s]++\?[bBqQ]\?[^?]*+\?=")
_LITERAL_SPECIAL: Final = pattern.compile(rb'["()\[\\]')
_CLOSED: Final = frozenset({State.AFTER, State.JUNK})
_AFTER_DOT: Final = frozenset({State.DOT, State.DOTGAP})
_IN_NAME: Final = frozenset({State.DOMAIN, State.HYPHEN, State.DOMDOT})
_IN_DOMAIN: Final = _IN_NAME | {State.DOMSTART, State.DOMDOTGAP}

_AFTER_COMMENT: Final = {
    State.WORD: State.CGAP,
    State.QEND: State.CGAP,
    State.DOT: State.DOTGAP,
    State.DOMAIN: State.DOMGAP,
    State.HYPHEN: State.DOMGAP,
    State.DOMDOT: State.DOMDOTGAP,
}
"""A comment separates like a blank (RFC 5322 section 3.2.2); elsewhere the state is the same after it."""


# -- words: a display name or a local part, nobody knows yet --


def on_word(r: Reading, at: int, state: int, following: int, kind: int) -> int:
    if not r.words and r.at < 0:
        r.first = at
    elif r.blank < 0:
        r.blank = at - 1
    r.words += 1
    if kind == EIGHT:
        on_eight(r, at, state, following, kind)
    elif kind == BANG:
        on_bang(r, at, state, following, kind)
    return following


def on_join(r: Reading, at: int, state: int, following: int, kind: int) -> int:
    """A word after a dot and a blank: another word of a display name, the same local part (RFC 5322 section 4.4)."""
    r.joins += 1
    if kind == EIGHT:
        on_eight(r, at, state, following, kind)
    return following


def on_bang(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.bang = at if r.bang < 0 else r.bang
    return following


def on_eight(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.eight = at if r.eight < 0 else r.eight
    return following


def on_leading_dot(r: Reading, at: int, state: int, following: int, kind: int) -> int:
    on_word(r, at, state, following, kind)
    return on_dots(r, at, state, following, kind)


def on_dots(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.dots = at if r.dots < 0 else r.dots
    r.dot_run = r.dot_run + 1 if at == r.dot + 1 else 1 + (r.value[at - 1 : at] == b".")
    r.dot = at
    if r.dot_run > r.dots_longest:
        r.dots_longest, r.dots_end = r.dot_run, at + 1
    return following


def on_dot_blank(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    """A dot with a blank beside it: an abbreviation in a display name, or an obsolete local part."""
    if r.period < 0:
        r.period = at - 1 if state == State.DOT else at
    return following


# -- @ and the domain --


def on_at(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.at >= 0:
        r.note("at-multiple", at, at + 1, "second @ in an address")
        r.domain, r.domain_end = at + 1, -1
        return following
    is_first = not r.words
    if is_first and r.angle >= 0:
        r.route = at
        return State.ROUTE
    if state in _AFTER_DOT and r.dots < 0:
        r.dots = at - 1 if state == State.DOT else r.period
    elif state == State.GAP and r.blank < 0:
        r.blank = at - 1
    elif state == State.CGAP and r.angle < 0:
        r.diagnosis.note("addr-spec-comment", r.comment, r.comment_end, "comment inside an address")
    r.first = at if is_first else r.first
    r.at, r.domain = at, at + 1
    return following


def on_at_blank(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.blank = at if r.blank < 0 else r.blank
    return following


def on_domain_end(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    r.end_domain(at, state)
    return following


def on_domain_join(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    """The domain goes on after a dot with a blank beside it (RFC 5322 section 4.4, obs-domain)."""
    if r.period < 0:
        r.period = r.domain_end - 1 if state == State.DOMDOTGAP else at
    r.domain_end = -1
    return following


def on_route_end(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.note("route", r.route, at + 1, "source route")
    return following


# -- quotes, comments, square brackets --


def on_quote(r: Reading, at: int, state: int, following: int, kind: int) -> int:
    r.quoted += 1
    r.quote = at
    r.after_quote = State.QEND
    if state in _CLOSED:
        if state == State.AFTER:
            r.note("angle-junk", at, at + 1, "text after the end of a mailbox or group")
        r.after_quote = State.JUNK
    elif state == State.ROUTE:
        r.after_quote = state
    elif state in _IN_DOMAIN:
        r.note("domain-character", at, at + 1, "quotation mark in a domain")
        r.after_quote = State.DOMGAP
    elif state in _AFTER_DOT:
        r.joins += 1
    else:
        on_word(r, at, state, following, kind)
    return following


def on_unquote(r: Reading, at: int, _state: int, _following: int, _kind: int) -> int:
    word = _ENCODED_WORD.search(r.value, r.quote, at) if r.encoded else None
    if word:
        r.diagnosis.note("encoded-word-in-quoted-string", *word.span(), "encoded-word in a quoted string")
    return r.after_quote


def on_comment(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    r.comments += 1
    r.comment, r.comment_depth = at, 1
    if not r.deepest:
        r.deepest, r.deepest_at = 1, at
    r.comment_inside = state == State.DOMSTART or r.angle >= 0
    if state in _IN_NAME:
        r.end_domain(at, state)
    elif state == State.DOT and r.period < 0:
        r.period = at - 1
    r.after_comment = _AFTER_COMMENT.get(state, state)
    return following


def on_comment_nested(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.comment_depth += 1
    if r.comment_depth > r.deepest:
        r.deepest, r.deepest_at = r.comment_depth, at
    return following


def on_uncomment(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.comment_depth -= 1
    if r.comment_depth:
        return following
    r.comment_end = at + 1
    if r.comment_inside:
        r.diagnosis.note("addr-spec-comment", r.comment, at + 1, "comment inside an address")
    return r.after_comment


def on_bracket(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if state == State.DOMSTART:
        r.literal = at
        return State.LITERAL
    r.bracket, r.after_bracket = at, state
    return following


def on_unbracket(r: Reading, at: int, _state: int, _following: int, _kind: int) -> int:
    if r.angle >= 0:
        kind = "domain-character" if r.at >= 0 else "local-part-character"
        r.note(kind, r.bracket, at + 1, "misplaced square brackets in an address")
    else:
        r.note("phrase-special", r.bracket, at + 1, "square brackets in a display name without quotes")
    return r.after_bracket


def on_bracket_again(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.note("bracket-unbalanced", r.bracket, r.bracket + 1, 'unbalanced "["')
    r.bracket = at
    return following


def on_bracket_broken(r: Reading, at: int, _state: int, _following: int, kind: int) -> int:
    """A `<` in square brackets: the bracket was never closed."""
    r.note("bracket-unbalanced", r.bracket, r.bracket + 1, 'unbalanced "["')
    return on_less(r, at, r.after_bracket, State.START, kind)


def on_unliteral(r: Reading, at: int, _state: int, following: int, _kind: int) -> int:
    r.domain_end = at + 1
    r.diagnosis.measure("domain-literal-bytes", at + 1 - r.literal, r.literal, at + 1)
    invalid = not is_address_literal(r.value, r.literal + 1, at)
    if invalid and not _LITERAL_SPECIAL.search(r.value, r.literal + 1, at):
        r.note("domain-literal-invalid", r.literal, at + 1, "domain literal that is no IP address")
    return following


def on_literal_broken(r: Reading, at: int, _state: int, _following: int, kind: int) -> int:
    """A separator in a domain literal: the bracket was never closed, and the separator counts."""
    r.note("bracket-unbalanced", r.literal, r.literal + 1, 'unbalanced "["')
    handle, following = _OUTSIDE_DOMAIN[kind]
    return handle(r, at, State.DOMAIN, following, kind)


# -- angle brackets --


def on_less(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.angle >= 0 and not r.angle_commas:
        r.note("angle-nested", at, at + 1, '"<" inside angle brackets')
        r.angle_depth += 1
        r.reset()
        return following
    if r.angle >= 0:  # <a@x, "Bob" <bob@y>: the bracket before was never closed
        r.note("angle-unbalanced", r.angle, r.angle + 1, 'unbalanced "<"')
        r.angle_commas = 0
    elif state == State.AFTER:
        r.note("angle-junk", at, at + 1, "second angle bracket without a comma")
    r.end_phrase(at, state)
    r.reset()
    r.angle, r.angle_depth = at, 1
    return following


def on_greater(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.angle < 0:
        r.note("angle-unbalanced", at, at + 1, 'unbalanced ">"')
        if state in _IN_NAME:
            r.end_domain(at, state)
            return State.DOMGAP
        return state
    if r.angle_depth > 1:
        r.angle_depth -= 1
        if state in _IN_NAME:
            r.end_domain(at, state)
        return State.DOMGAP if r.at >= 0 else State.GAP if r.words else State.START
    if r.angle_commas:
        r.errors += r.angle_commas
        r.diagnosis.count(
            "angle-comma", r.angle_commas, r.angle_comma, r.angle_comma + 1, "comma inside angle brackets"
        )
        r.angle_commas = 0
    if state == State.ROUTE or (r.route >= 0 and r.empty):
        r.note("local-part-empty", r.angle, at + 1, "no address in angle brackets")
    elif r.empty:
        r.note("angle-empty", r.angle, at + 1, "empty angle brackets")
    else:
        r.end_address(at, state)
    r.end_angle()
    return following


# -- separators --


def on_comma(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.angle >= 0:
        r.angle_comma = r.angle_comma if r.angle_commas else at
        r.angle_commas += 1
        r.reset()
        return following
    r.comma = at
    if state not in _CLOSED:
        r.end_element(at, state)
    return following


def on_semicolon(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.angle >= 0:
        return _stray(r, at, state)
    r.comma = -1
    ended = state in _CLOSED
    if not ended and not r.empty:
        r.end_element(at, state)
    elif not ended:
        r.semis += 1
        r.diagnosis.measure("empty-groups", r.semis, at, at + 1)
    if r.group >= 0:
        r.end_naked()
        r.group, r.group_depth, r.semis = -1, 0, 0
        return State.AFTER
    r.note("semicolon-separator", at, at + 1, "semicolon between addresses")
    return following


def on_colon(r: Reading, at: int, state: int, following: int, _kind: int) -> int:
    if r.angle >= 0:
        return _stray(r, at, state)
    r.comma = -1
    if state in _CLOSED:
        r.note("angle-junk", at, at + 1, "colon after the closing angle bracket")
        return State.JUNK
    r.end_words(at)
    if r.empty:
        r.note("group-name-invalid", at, at + 1, "group without a name")
    elif r.at >= 0 or state == State.DOT or r.value.startswith(b".", r.first):
        r.note("group-name-invalid", r.first, at, "group whose name has an @, or a dot at its edge")
    r.group_depth += 1
    r.diagnosis.measure("group-depth", r.group_depth, at, at + 1)
    if r.group >= 0:
        r.note("group-nested", at, at + 1, "group inside a group")
    elif r.author:
        r.diagnosis.note("group", max(r.first, 0), at + 1, "group where one author is expected")
    r.group = at
    r.reset()
    return following


def _stray(r: Reading, at: int, state: int) -> int:
    """A separator inside angle brackets."""
    kind = "domain-character" if r.at >= 0 else "local-part-character"
    r.note(kind, at, at + 1, "separator inside an address")
    return state


HANDLERS: Final[dict[str, Callable[[Reading, int, int, int, int], int]]] = {
    "word": on_word,
    "join": on_join,
    "leading-dot": on_leading_dot,
    "dots": on_dots,
    "dot-blank": on_dot_blank,
    "bang": on_bang,
    "eight": on_eight,
    "at": on_at,
    "at-blank": on_at_blank,
    "domain-eight": on_eight,
    "domain-end": on_domain_end,
    "domain-join": on_domain_join,
    "domain-dot-blank": on_domain_join,
    "route-end": on_route_end,
    "quote": on_quote,
    "unquote": on_unquote,
    "comment": on_comment,
    "comment-nested": on_comment_nested,
    "uncomment": on_uncomment,
    "bracket": on_bracket,
    "unbracket": on_unbracket,
    "bracket-again": on_bracket_again,
    "bracket-broken": on_bracket_broken,
    "unliteral": on_unliteral,
    "literal-broken": on_literal_broken,
    "less": on_less,
    "greater": on_greater,
    "comma": on_comma,
    "semicolon": on_semicolon,
    "colon": on_colon,
}

_OUTSIDE_DOMAIN: Final = {
    COMMA: (on_comma, State.START),
    SEMI: (on_semicolon, State.START),
    LESS: (on_less, State.START),
    GREATER: (on_greater, State.AFTER),
}
