"""Quarantine entries in words: a line of the list, everything that is known of one, the digest for the postmaster.

All text is escaped: bytes of mail never reach a terminal as they are.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from forebay.cli.marking import Source
from forebay.cli.output import printable, table
from forebay.cli.report import finding_lines, plain
from forebay.cli.storing import iso, shown_time
from forebay.judge.wording import escape
from forebay.message.envelope import Envelope
from forebay.message.finding import Action, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forebay.records import RecordedFinding
    from forebay.store.entries import Detail, Entry

_MOST_WHY: Final = 60
_MOST_FIELDS: Final = 200
_MOST_VALUE: Final = 400
_MOST_FINDINGS: Final = 16


def rows(entries: Sequence[Entry]) -> str:
    """A table, one line an entry."""
    head = ("ID", "STATE", "KIND", "SINCE", "SIZE", "HOST", "FROM", "REASON")
    lines = [
        (
            each.id,
            each.state,
            each.kind,
            shown_time(each.at),
            f"{each.size:,}",
            each.host,
            _cut(each.sender, 40),
            each.reason,
        )
        for each in entries
    ]
    return table([head, *lines])


def as_json(entry: Entry) -> dict[str, object]:
    """An entry for JSON."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "state": entry.state,
        "host": entry.host,
        "at": iso(entry.at),
        "changed": iso(entry.changed),
        "size": entry.size,
        "client": entry.client,
        "sender": entry.sender,
        "recipients": entry.recipients.split(),
        "recipient_count": entry.recipient_count,
        "place": entry.place,
        "reason": entry.reason,
        "why": entry.why,
        "validators": entry.validators.split(),
        "confidence": entry.confidence,
        "exact": entry.exact or None,
        "shape": entry.shape or None,
        "matched": entry.matched or None,
    }


def detail_as_json(entry: Entry, detail: Detail) -> dict[str, object]:
    """Everything that is known of an entry, for JSON."""
    return as_json(entry) | {
        "findings": [plain(_finding(each)) for each in detail.findings],
        "header": [[escape(name, 1000), escape(value, 100_000)] for name, value in detail.header],
        "evidence": _evidence(detail.evidence),
        "notes": [{"at": iso(each.at), "person": each.person, "text": each.text} for each in detail.notes],
    }


def words(entry: Entry, detail: Detail, rfcs: Mapping[str, str], *, coloured: bool) -> str:
    """Everything that is known of an entry. `rfcs` says for each validator what it goes by."""
    facts = [
        ("entry", entry.id),
        ("state", f"{entry.state} ({entry.kind}) since {shown_time(entry.changed)}"),
        ("came in", shown_time(entry.at)),
        ("host", entry.host),
        ("queue id" if entry.kind == "mta-hold" else "file", entry.place),
        ("client", entry.client or "local"),
        ("from", entry.sender),
        ("to", _recipients(entry)),
        ("size", f"{entry.size:,} bytes"),
        ("reason", f"{entry.reason}: {entry.why}" if entry.why else entry.reason),
    ]
    rfc = rfcs.get(entry.reason)
    facts += [("rule", rfc)] if rfc else []
    facts += [("confidence", entry.confidence)] if entry.confidence else []
    facts += [(name, value) for name in ("exact", "shape", "matched") if (value := getattr(entry, name))]
    parts = [table(facts)]
    envelope = Envelope(entry.sender.encode("ascii", "replace"), ())
    source = Source(detail.header, envelope, b"")
    found = [
        line
        for each in detail.findings[:_MOST_FINDINGS]
        for line in finding_lines(_placed(each, source), source, coloured=coloured)
    ]
    parts += ["\n".join(found)] if found else []
    evidence = _evidence(detail.evidence)
    if evidence:
        parts.append(table([(f"  {name}", _cut(str(value), 300)) for name, value in evidence.items()]))
    parts += [_header(detail)] if detail.header else []
    parts += (
        ["\n".join(f"{shown_time(each.at)} {printable(each.person)}: {printable(each.text)}" for each in detail.notes)]
        if detail.notes
        else []
    )
    return "\n\n".join(parts) + "\n"


def digest(tallies: Sequence[tuple[str, str, str, int, int, float]], entries: Sequence[Entry], where: str) -> str:
    """The text of a daily mail: how much waits, since when, why, and the oldest of it."""
    number, size = sum(each[3] for each in tallies), sum(each[4] for each in tallies)
    if not number:
        return f"Nothing waits in the quarantine of {where}.\n"
    oldest = min(each[5] for each in tallies)
    days = (time.time() - oldest) / 86_400
    noun = "message waits" if number == 1 else "messages wait"
    lines = [
        f"{number:,} {noun} in the quarantine of {where}: {size:,} bytes.",
        f"The oldest came in {shown_time(oldest)}, {days:.1f} days ago.",
        "",
        table(
            [
                ("REASON", "KIND", "MESSAGES", "BYTES"),
                *((reason, kind, f"{n:,}", f"{total:,}") for kind, _, reason, n, total, _ in tallies),
            ]
        ),
        "",
        "The oldest:",
        rows(entries),
        "",
        "Look at one: forebay quarantine show ID. Then: forebay quarantine release ID, or delete ID.",
    ]
    return "\n".join(lines) + "\n"


def _header(detail: Detail) -> str:
    lines = [
        f"{number:>6} | {escape(name, 80)}:{_value(value)}"
        for number, (name, value) in enumerate(detail.header[:_MOST_FIELDS], 1)
    ]
    more = len(detail.header) - _MOST_FIELDS
    return "\n".join([*lines, *([f"       | and {more} more fields"] if more > 0 else [])])


def _value(value: bytes) -> str:
    parts = value[:_MOST_VALUE].split(b"\n")
    shown = "\n       | ".join(escape(each, _MOST_VALUE) for each in parts)
    return shown + ("..." if len(value) > _MOST_VALUE else "")


def _finding(found: RecordedFinding) -> Finding:
    try:
        action = Action[found.action.upper()]
    except KeyError:
        action = Action.ACCEPT
    return Finding(printable(found.id), found.field, found.field_index, found.start, found.end, found.message, action)


def _placed(found: RecordedFinding, source: Source) -> Finding:
    """A finding whose place is in the header that was kept, or one without a place."""
    finding = _finding(found)
    index = finding.field_index
    fits = index < len(source.fields) and (
        index < 0 or 0 <= finding.start <= finding.end <= len(source.fields[index][1])
    )
    if fits:
        return finding
    return Finding(finding.id, finding.field, -1, 0, 0, finding.message, finding.action)


def _evidence(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _recipients(entry: Entry) -> str:
    shown = entry.recipients.split()
    more = entry.recipient_count - len(shown)
    return " ".join(shown) + (f" and {more} more" if more > 0 else "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
