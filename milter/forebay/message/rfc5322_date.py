"""Date and time (RFC 5322 section 3.3), with the obsolete forms of section 4.3."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis
from forebay.message.mask import COMMENT, Masked, extent, mask

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2037
"""Years that a 32-bit clock knows. A date outside of them is not the date of a mail, and breaks programs."""

_MONTHS: Final = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")

# What nearly every mail has. Whatever it accepts is a date that exists, and short.
recognise: Final = pattern.compile(
    rb"""_{0,8}+
    (?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),_{1,8}+)?+
    (?:(?:0?[1-9]|1[0-9]|2[0-8])_{1,8}+(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)
      |(?:29|30)_{1,8}+(?:Jan|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)
      |31_{1,8}+(?:Jan|Mar|May|Jul|Aug|Oct|Dec))
    _{1,8}+(?:19[7-9][0-9]|20[0-2][0-9]|203[0-7])
    _{1,8}+(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?+
    _{1,8}+[+-](?:0[0-9]|1[0-4])[0-5][0-9]
    (?:_{1,8}+\([^()\\]{1,64}+\))?+
    """.replace(b"_", rb"[ \t\n]"),
    re.VERBOSE,
).fullmatch

_FWS = r"[ \t\r\n]"
_CFWS = r"[ \t\r\n\x01]"  # a comment is masked, see mask.COMMENT
_DAY_NAME = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_DAY = r"(?P<day>[0-9][0-9]?+)"
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_HOUR, _MINUTE, _SECOND = r"(?P<hour>[0-9][0-9])", r"(?P<minute>[0-9][0-9])", r"(?P<second>[0-9][0-9])"
_ZONE = r"[+-][0-9][0-9][0-9][0-9]"

# date-time = [ day-of-week "," ] date time [CFWS] (section 3.3)
_DATE_TIME = pattern.compile(
    f"(?i){_FWS}*+(?:{_DAY_NAME},{_FWS}*+)?+"
    rf"{_DAY}{_FWS}++{_MONTH}{_FWS}++(?P<year>[0-9][0-9][0-9][0-9]++){_FWS}++"
    rf"{_HOUR}:{_MINUTE}(?::{_SECOND})?+{_FWS}++(?P<zone>{_ZONE}){_CFWS}*+".encode()
)

# The same with comments anywhere, years of two or three digits, zones by name or missing (section 4.3).
_OBS_DATE_TIME = pattern.compile(
    rf"(?i){_CFWS}*+(?:{_DAY_NAME}{_CFWS}*+,{_CFWS}*+)?+"
    rf"{_DAY}{_CFWS}*+{_MONTH}{_CFWS}*+(?P<year>[0-9][0-9]++){_CFWS}++"
    rf"{_HOUR}{_CFWS}*+:{_CFWS}*+{_MINUTE}{_CFWS}*+(?::{_CFWS}*+{_SECOND}{_CFWS}*+)?+"
    rf"(?P<zone>{_ZONE}|[a-z][a-z]?+[a-z]?+[a-z]?+[a-z]?+)?+{_CFWS}*+".encode()
)

# obs-zone. A zone without a name in this table says nothing of the place: it counts as -0000 (section 4.3).
_ZONES: Final = {
    b"ut": 0, b"gmt": 0, b"est": -300, b"edt": -240, b"cst": -360, b"cdt": -300,
    b"mst": -420, b"mdt": -360, b"pst": -480, b"pdt": -420,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date and time as written; all None where it could not be read. `zone` is in minutes east of UTC.

    A zone without meaning (`-0000`, an unknown name, none at all) is None too.
    """

    year: int | None
    month: int | None
    day: int | None
    hour: int | None
    minute: int | None
    second: int | None
    zone: int | None
    diagnosis: Diagnosis


def scan(value: bytes) -> DateTime:
    """Read a date and time (RFC 5322 sections 3.3 and 4.3) and say what is wrong with it."""
    diagnosis = Diagnosis()
    start, end = extent(value)
    diagnosis.measure("date-bytes", end - start, start, end)
    masked = mask(value)
    diagnosis.effort = masked.effort
    diagnosis.measure("date-comment-depth", masked.depth, masked.deepest, end)
    match = None
    if masked.open_comment >= 0:
        diagnosis.note("date-unparsable", masked.open_comment, end, "comment that is not closed")
    elif not (match := _DATE_TIME.fullmatch(masked.text)):
        if match := _OBS_DATE_TIME.fullmatch(masked.text):
            diagnosis.note("date-obsolete", start, end, _obsolete(match, masked))
        else:
            diagnosis.note("date-unparsable", start, end, "no date and time")
    if not match:
        return DateTime(None, None, None, None, None, None, None, diagnosis)
    return _read(match, diagnosis)


def _obsolete(match: re.Match[bytes], masked: Masked) -> str:
    if match.end("year") - match.start("year") < 4:
        return "year of fewer than four digits"
    zone = match["zone"]
    if not zone:
        return "no time zone"
    if zone[:1] not in b"+-":
        return "time zone by name"
    if bytes((COMMENT,)) in masked.text[: match.end("zone")]:
        return "comment inside the date"
    return "blanks missing or where none belong"


def _read(match: re.Match[bytes], diagnosis: Diagnosis) -> DateTime:
    year = _year(match["year"])
    month = _MONTHS.index(match["month"].lower()) + 1
    day, hour, minute, second = (int(match[part] or 0) for part in ("day", "hour", "minute", "second"))
    place = match.start("day"), match.end()
    if not FIRST_YEAR <= year <= LAST_YEAR:
        diagnosis.note("date-out-of-range", *match.span("year"), "year far from any mail")
    elif not 1 <= day <= monthrange(year, month)[1]:
        diagnosis.note("date-out-of-range", *match.span("day"), "day that does not exist")
    elif hour > 23 or minute > 59 or second > 60:  # 60 is a leap second (section 3.3)
        diagnosis.note("date-out-of-range", match.start("hour"), place[1], "time that does not exist")
    zone = match["zone"] or b""
    if zone[:1] in {b"+", b"-"}:
        if int(zone[3:]) > 59:
            diagnosis.note("date-out-of-range", *match.span("zone"), "time zone that does not exist")
        minutes = int(zone[1:3]) * 60 + int(zone[3:])
        offset = None if zone == b"-0000" else -minutes if zone[:1] == b"-" else minutes
    else:
        offset = _ZONES.get(zone.lower())
    return DateTime(year, month, day, hour, minute, second, offset, diagnosis)


def _year(digits: bytes) -> int:
    """Two digits up to 49 are 2000 and later, other short ones count from 1900 (section 4.3)."""
    if len(digits) == 2:
        return int(digits) + (2000 if digits < b"50" else 1900)
    if len(digits) == 3:
        return int(digits) + 1900
    return int(digits) if len(digits) == 4 else 99999  # never more digits than int() takes in linear time
