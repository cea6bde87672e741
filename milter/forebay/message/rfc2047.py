"""Encoded-words: `=?charset?encoding?text?=` (RFC 2047 section 2).

A malformed one prevents nothing (section 6.3): it is text. What a well-formed one decodes to is another matter: some
programs decode first and parse then, and find addresses and line ends that nobody else sees.
"""

from __future__ import annotations

import binascii
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.charset import ascii_only, is_known
from forebay.message.diagnosis import Diagnosis

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

MOST_WORDS: Final = 16
"""Encoded-words that are kept for validators."""

MOST_READ: Final = 1024
"""Encoded-words that are looked at one by one; those behind them are counted only."""

EFFORT_OF_WORD: Final = 4
"""What one takes that is looked at, in bytes that mean something to an address list: see `Diagnosis`."""

LONGEST: Final = 75
"""Bytes of an encoded-word (section 2)."""

# encoded-word = "=?" charset "?" encoding "?" encoded-text "?="; the charset may name a language (RFC 2231 section 5).
_TCHAR = r"""[^\x00-\x20\x7f-\xff()<>@,;:"/\[\]?.=*]"""
_TEXT = r"[^\x00-\x20?\x7f-\xff]"
_WORD = pattern.compile(rf"=\?((?:{_TCHAR}|\.)++)(?:\*[A-Za-z0-9-]*+)?+\?([BbQq])\?({_TEXT}*+)\?=".encode())

_BEGIN = pattern.compile(rb"=\?").search

# What begins like one: nothing else does that ordinary text holds.
_OPENER = pattern.compile(rf"=\?(?:(?:{_TCHAR}|[.*])++\?|=)".encode())

# Well-formed words of at most 75 bytes in charsets whose bytes below 128 are ASCII: (base64, quoted-printable).
_EASY_WORD = pattern.compile(
    rb"=\?(?:[Uu][Tt][Ff]-8\?(?=.\?[^?]{0,63}+\?)"
    rb"|(?:[Ii][Ss][Oo]-8859-1|[Ww][Ii][Nn][Dd][Oo][Ww][Ss]-1252)\?(?=.\?[^?]{0,56}+\?))"
    rb"(?:[Bb]\?((?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?+)"
    rb"|[Qq]\?((?:[!-<>@-~]|=[0-9A-F]{2})*+))\?="
)
_HARMLESS: Final = bytes({*range(32, 256)} - {0x7F, ord("@")})
"""What a word may decode to without hiding a line end, a control character or an address."""

_BAD_ESCAPE = pattern.compile(rb"=(?![0-9A-Fa-f]{2})")
_NOT_BASE64 = pattern.compile(rb"[^A-Za-z0-9+/]")
_CONTROL = pattern.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class EncodedWord:
    """One encoded-word at `value[start:end]`, its text at `value[text_start:text_end]`; `encoding` is b"B" or b"Q"."""

    charset: bytes
    encoding: bytes
    text_start: int
    text_end: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """The first `MOST_WORDS` encoded-words of a value, and what is wrong with any of them."""

    words: tuple[EncodedWord, ...]
    diagnosis: Diagnosis


def recognise(value: bytes) -> bool:
    """Whether all encoded-words in a value (at most 16) are short, in a known charset, and decode to harmless text."""
    openers = value.count(b"=?")
    if not openers:
        return True
    if openers > 2 * MOST_WORDS:
        return False
    easy = _EASY_WORD.findall(value)
    # Base64 may end with "=", and then its own "?=" looks like one more opener.
    padded = sum(base64.endswith(b"=") for base64, _ in easy)
    if len(easy) > MOST_WORDS or len(easy) + padded != openers:
        return False
    for base64, quoted in easy:
        decoded = binascii.a2b_base64(base64) if base64 else binascii.a2b_qp(quoted, header=True)
        if decoded.translate(None, _HARMLESS):
            return False
    return True


def where(joined: bytes, sizes: Sequence[int], between: int) -> frozenset[int]:
    """Which of some values hold an encoded-word, or the beginning of one: by their number.

    `joined` are the values one after the other, of these sizes, with so many bytes between each two that none begins in.
    """
    found = _BEGIN(joined)
    if found is None:
        return frozenset()
    ends = list(accumulate(size + between for size in sizes))
    holding = []
    while found:
        index = bisect_right(ends, found.start())
        holding.append(index)
        found = _BEGIN(joined, ends[index])
    return frozenset(holding)


def count(value: bytes) -> int:
    """The encoded-words in a value, unfinished ones included: decoders have choked on both."""
    return value.count(b"=?") - value.count(b"=?=")  # base64 may end with "=", and then "=?=" ends the word


def decode(encoding: bytes, text: bytes) -> bytes:
    """The bytes that an encoded-text stands for (section 4), however malformed it is: never raises."""
    if encoding in b"Qq":
        return binascii.a2b_qp(text, header=True)
    letters = _NOT_BASE64.sub(b"", text)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"==")


def decode_all(value: bytes) -> bytes:
    """A value with its first encoded-words (`MOST_READ`) replaced by the bytes they stand for, in their charsets."""
    return _WORD.sub(lambda word: decode(word[2], word[3]), value, MOST_READ) if b"=?" in value else value


def scan(value: bytes) -> EncodedWords:
    """Find the encoded-words of a value, and say what is wrong with them or with what they decode to."""
    diagnosis = Diagnosis()
    diagnosis.measure("encoded-words", count(value), 0, len(value))
    kept: list[EncodedWord] = []
    run = _Run(diagnosis)
    malformed, first_malformed = 0, 0
    pos = 0
    for _ in range(MOST_READ):
        opener = _OPENER.search(value, pos)
        if opener is None:
            break
        diagnosis.effort += EFFORT_OF_WORD
        start = opener.start()
        match = _WORD.match(value, start)
        if match is None:
            first_malformed = first_malformed if malformed else start
            malformed += 1
            pos = start + 2
            continue
        if value[pos:start].strip():
            run.end()
        pos = match.end()
        _check(match, diagnosis)
        run.add(start, pos, ascii_only(match[1], decode(match[2], match[3])))
        if len(kept) < MOST_WORDS:
            kept.append(EncodedWord(match[1], match[2].upper(), *match.span(3), start, pos))
    run.end()
    diagnosis.count(
        "encoded-word-malformed",
        malformed,
        first_malformed,
        first_malformed + 2,
        "encoded-word that does not end well",
    )
    return EncodedWords(tuple(kept), diagnosis)


def _check(word: re.Match[bytes], diagnosis: Diagnosis) -> None:
    """What is wrong with the encoded-word itself."""
    start, end = word.span()
    if end - start > LONGEST:
        diagnosis.note("encoded-word-long", start, end, "encoded-word of more than 75 bytes")
    if not is_known(word[1]):
        diagnosis.note("encoded-word-charset", *word.span(1), "encoded-word in an unknown charset")
    text = word[3]
    if word[2] in b"Qq":
        if _BAD_ESCAPE.search(text):
            diagnosis.note("encoded-word-malformed", *word.span(3), '"=" without two hexadecimal digits')
    elif len(text) % 4 or _NOT_BASE64.search(text.rstrip(b"=")) or text.endswith(b"==="):
        diagnosis.note("encoded-word-malformed", *word.span(3), "base64 that is cut or has other characters")


class _Run:
    """Encoded-words with nothing but blanks between them: they are read as one text (section 6.2)."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self._diagnosis = diagnosis
        self._decoded: list[bytes] = []
        self._start = self._end = 0

    def add(self, start: int, end: int, decoded: bytes) -> None:
        if not self._decoded:
            self._start = start
        self._end = end
        self._decoded.append(decoded)

    def end(self) -> None:
        """Judge what the run decodes to."""
        if not self._decoded:
            return
        text = b"".join(self._decoded)
        self._decoded.clear()
        place = self._start, self._end
        if b"\r" in text or b"\n" in text:
            self._diagnosis.note("encoded-word-decodes-to-newline", *place, "encoded-word that hides a line end")
        if _CONTROL.search(text):
            self._diagnosis.note("encoded-word-decodes-to-controls", *place, "encoded-word that hides a control")
        if b"@" in text and any(special in text for special in (b"<", b">", b",", b";", b":", b'"')):
            self._diagnosis.note("encoded-word-decodes-to-specials", *place, "encoded-word that hides an address")
