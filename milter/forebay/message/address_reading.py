"""What is remembered while an address list is read, and what is judged when a part of it ends.

Much cannot be judged where it is met: `x@y` is an address before a comma and a bad display name before a `<`. So the
events in `address_events` remember places, and the ends of an address, a display name or a list note the defects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forebay.message import address_usual, pattern
from forebay.message.address_table import State
from forebay.message.diagnosis import Diagnosis

MOST_MAILBOXES: Final = 64
"""Mailboxes kept for validators; the measure `addresses` counts them all."""

EFFORT_OF_USUAL: Final = 3
"""What a mailbox that is only counted takes, in bytes that mean something."""

BLANKS: Final = b" \t\n"

_ENCODED_WORD: Final = pattern.compile(rb"=\?[^?\s]++\?[bBqQ]\?[^?]*+\?=")

_EIGHT: Final = pattern.compile(rb"[\x80-\xff]++")

_SIMPLE: Final = (
    ("blank", "addr-spec-blank", "blank inside an address"),
    ("dots", "local-part-dots", "misplaced dot in a local part"),
    ("period", "addr-spec-dot-blank", "blank or comment beside a dot of an address"),
    ("bang", "route-bang-or-percent", "routing by ! or % in a local part"),
    ("eight", "addr-spec-8bit", "byte above 127 in an address"),
)
"""What an address may have only once: the attribute with its place, the kind, the text."""


_BEHIND_DOT: Final = frozenset({State.DOMDOT, State.DOMDOTGAP})

_LAPSES: Final = frozenset({
    "addr-spec-dot-blank", "at-in-phrase", "at-in-phrase-differs", "domain-trailing-dot", "domain-underscore",
    "element-empty", "local-part-dots", "local-part-long", "local-part-naked", "phrase-comma", "phrase-leading-dot", "phrase-special",
    "route-bang-or-percent", "semicolon-separator",
})  # fmt: skip
"""What people's programs do write, in long lists even: counted apart from the syntax errors that only killers have."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox (RFC 5322 section 3.4): its parts as written, and the place of its addr-spec in the value."""

    phrase: bytes
    local_part: bytes
    domain: bytes
    start: int
    end: int


class Reading:
    """The memory of one pass over one value. Places are -1 while nothing was met there."""

    __slots__ = (  # so many that a dictionary would be slow: a hostile value changes them thousands of times
        "addresses", "after_bracket", "after_comment", "after_quote", "angle", "angle_comma", "angle_commas",
        "angle_depth", "at", "author", "bang", "blank", "bracket", "comma", "comment", "comment_depth",
        "comment_end", "comment_inside", "comments", "deepest", "deepest_at", "diagnosis", "domain",
        "domain_end", "dot", "dot_run", "dots", "dots_end", "dots_longest", "effort", "eight", "empties", "encoded",
        "errors", "first", "group", "group_depth", "joins", "lapses", "literal", "longest", "mailboxes",
        "naked", "optional", "period", "phrase", "phrase_domain", "phrase_end", "quote", "quoted", "route",
        "semis", "value", "words",
    )  # fmt: skip

    def __init__(self, value: bytes, *, author: bool, optional: bool = False) -> None:
        self.value = value
        self.author = author
        self.optional = optional
        self.diagnosis = Diagnosis()
        self.errors = self.lapses = self.effort = 0
        self.mailboxes: list[Mailbox] = []
        self.encoded = b"=?" in value
        # The list: what was counted, the naked element before, the group, the comma before this element.
        self.addresses = self.comments = self.quoted = self.empties = self.semis = self.group_depth = 0
        self.naked = (-1, -1)
        self.group = self.comma = -1
        # Angle brackets: the open one, how deep, commas inside, its route, the display name before it.
        self.angle = self.angle_comma = self.route = self.phrase = self.phrase_end = -1
        self.angle_depth = self.angle_commas = 0
        self.phrase_domain: bytes | None = None
        # Quotes, comments, square brackets: where they opened, and the state to go back to.
        self.quote = self.comment = self.literal = self.bracket = -1
        self.comment_depth = self.deepest = self.deepest_at = self.comment_end = 0
        self.comment_inside = False
        self.after_quote = self.after_comment = self.after_bracket = State.START
        self.dot = -2
        self.dot_run = self.dots_longest = self.dots_end = 0
        self.longest = (0, 0, 0)
        self.reset()

    def reset(self) -> None:
        """Begin an address: nothing of it was met."""
        self.words = self.joins = 0
        self.first = self.at = self.domain = self.domain_end = -1
        self.blank = self.dots = self.period = self.bang = self.eight = -1

    @property
    def empty(self) -> bool:
        """Nothing was met since the last separator."""
        return not self.words and self.at < 0

    @property
    def may_skip(self) -> bool:
        """Whether usual mailboxes need only be counted here, if an element begins: what else they do is done."""
        return len(self.mailboxes) == MOST_MAILBOXES and self.angle < 0 and self.naked[0] < 0

    def take(self, start: int, end: int) -> None:
        """Take the usual mailboxes of `value[start:end]` in one step. Places are looked for where they are of interest."""
        counted = address_usual.count(self.value, start, end)
        self.addresses += counted.addresses
        self.effort += EFFORT_OF_USUAL * counted.addresses
        self.quoted += counted.quoted
        self.empties = self.semis = 0
        if counted.longest > self.longest[0]:
            self.longest = (counted.longest, *address_usual.address_of(self.value, start, end, counted.longest))
        known = self.diagnosis.peaks.get("phrase-words")
        if counted.words > (known.value if known else 0):
            place = address_usual.display_name_of(self.value, start, end, counted.words)
            self.diagnosis.measure("phrase-words", counted.words, *place)

    def note(self, kind: str, start: int, end: int, text: str) -> None:
        """Note a syntax error."""
        if kind in _LAPSES:
            self.lapses += 1
        else:
            self.errors += 1
        self.diagnosis.note(kind, start, end, text)

    def end_domain(self, at: int, state: int) -> None:
        """The domain ends before `at`, unless it has ended already."""
        if self.domain_end < 0:
            self.domain_end = at
            if state == State.HYPHEN:
                self.note("domain-hyphen", at - 1, at, "hyphen at the edge of a domain label")

    def end_address(self, at: int, state: int) -> None:
        """An addr-spec (RFC 5322 section 3.4.1) ends before `at`; something of it was met."""
        self.addresses += 1
        if self.at < 0:
            self.note("local-part-naked", self.first, at, "address without a domain")
            return
        if state in _BEHIND_DOT:
            end = at if state == State.DOMDOT else self.domain_end
            self.note("domain-trailing-dot", end - 1, end, "dot at the end of a domain")
        self.end_domain(at, state)
        local_part = self.value[self.first : self.at].strip(BLANKS)
        domain = self.value[self.domain : self.domain_end].strip(BLANKS)
        self._check(local_part, domain)
        if self.domain_end - self.first > self.longest[0]:
            self.longest = (self.domain_end - self.first, self.first, self.domain_end)
        if len(self.mailboxes) < MOST_MAILBOXES:
            self._keep(local_part, domain)

    def _check(self, local_part: bytes, domain: bytes) -> None:
        if not local_part:
            self.note("local-part-empty", self.at, self.at + 1, "nothing before the @")
        elif len(local_part) > 64:
            self.note("local-part-long", self.first, self.at, "local part of more than 64 bytes")
        if not domain:
            self.note("domain-empty", self.at, self.at + 1, "nothing after the @")
        if self.blank + self.dots + self.period + self.bang + self.eight > -len(_SIMPLE):  # one of them was met
            for name, kind, text in _SIMPLE:
                place = getattr(self, name)
                if place >= 0:
                    run = _EIGHT.match(self.value, place) if name == "eight" else None
                    self.note(kind, place, run.end() if run else place + 1, text)
        if self.bang >= 0 and (place := self.value.find(b".!", self.first, self.at)) >= 0:
            self.note("route-dot-bang", place, place + 2, 'dot before a "!"')
        if self.encoded:
            word = _ENCODED_WORD.search(self.value, self.first, self.domain_end)
            if word:
                self.note("addr-spec-encoded-word", *word.span(), "encoded-word inside an address")

    def _keep(self, local_part: bytes, domain: bytes) -> None:
        if self.author and len(self.mailboxes) == 1:
            self.diagnosis.note("mailbox-multiple", self.first, self.domain_end, "second author")
        phrase = self.value[self.phrase : self.phrase_end].strip(BLANKS) if self.phrase >= 0 else b""
        self.mailboxes.append(Mailbox(phrase, local_part, domain, self.first, self.domain_end))

    def end_words(self, at: int) -> None:
        """A display name, a group name or a naked local part ends before `at`."""
        if self.words:
            self.diagnosis.measure("phrase-words", self.words + self.joins, self.first, at)

    def end_phrase(self, at: int, state: int) -> None:
        """What stood before a `<` was a display name (RFC 5322 section 3.2.5)."""
        self.end_words(at)
        self.phrase, self.phrase_end = self.first, at
        self.phrase_domain = None  # of the one before, whose bracket was never closed
        if self.at >= 0:
            end = self.domain_end if self.domain_end >= 0 else at
            self.phrase_domain = self.value[self.domain : end].strip(BLANKS).lower()
        elif self.first >= 0 and self.value.startswith(b".", self.first):
            self.note("phrase-leading-dot", self.first, self.first + 1, "display name that begins with a period")
        elif self.period >= 0 or self.dots >= 0 or state == State.DOT:
            place = max(self.period, self.dots)
            place = place if place >= 0 else at - 1  # the dot that the bracket follows at once
            self.diagnosis.note("phrase-period", place, place + 1, "period in a display name without quotes")

    def end_angle(self) -> None:
        """The angle brackets are closed: the display name and the element before can be judged."""
        if self.phrase_domain is not None:
            same = self.phrase_domain in (b"", self.value[self.domain : self.domain_end].strip(BLANKS).lower())
            kind = "at-in-phrase" if same else "at-in-phrase-differs"
            end = self.phrase + len(self.value[self.phrase : self.phrase_end].rstrip(BLANKS))
            self.note(kind, self.phrase, end, "@ in a display name without quotes")
        self.end_naked(comma=self.phrase >= 0)
        self.angle = self.route = self.phrase = -1
        self.empties = self.semis = 0
        self.reset()

    def end_naked(self, *, comma: bool = False) -> None:
        """Judge the naked element before this one: `Doe, John <j@x>` is one display name, cut in two by its comma."""
        start, end = self.naked
        if start >= 0 and comma:
            self.note("phrase-comma", end, end + 1, "comma in a display name without quotes")
        elif start >= 0:
            self.note("local-part-naked", start, end, "address without a domain")
        self.naked = (-1, -1)

    def end_element(self, at: int, state: int) -> None:
        """An element of the list ends before `at`, outside angle brackets."""
        if not self.words and self.at < 0:
            self.empties += 1
            self.diagnosis.measure("empty-elements", self.empties, at, at + 1)
            self.note("element-empty", at, at + 1, "empty element of a list")
            return
        self.empties = self.semis = 0
        if self.naked[0] >= 0:
            self.end_naked()
        if self.at < 0:
            self.end_words(at)
            self.naked = (self.first, at)
            self.addresses += 1
        else:
            self.end_address(at, state)
        self.reset()
