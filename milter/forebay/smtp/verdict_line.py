"""The line in the log that a message with findings gets: the action, why, and whose message it was.

4Bq1Xn2x: reject: address-unbalanced-angle: To: unbalanced "<" at byte 17; from=<a@example.org> to=<b@example.com>
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from forebay.logs import LOGGER, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from forebay.judge.verdict import Verdict
    from forebay.message.envelope import Envelope
    from forebay.message.finding import Finding

_RECIPIENTS: Final = 3
_ADDRESS_BYTES: Final = 200


def log_verdict(verdict: Verdict, envelope: Envelope, queue_id: str, recipient: bytes | None = None) -> None:
    """Write the one line that a message with findings gets, or a `recipient` that was refused alone."""
    event = verdict_event(verdict, envelope, queue_id)
    if recipient is not None:
        event["to"], event["recipients"] = [address(recipient)], 1
    logging.getLogger(LOGGER).info(_in_words(event), extra={"event": event})


def verdict_event(verdict: Verdict, envelope: Envelope, queue_id: str) -> dict[str, object]:
    """What is logged of a verdict: the action, the finding that decided, and whose message it was."""
    event: dict[str, object] = {"queue_id": printable(queue_id, 64) or "NOQUEUE", "action": verdict.action.word}
    if verdict.reason:
        event["validator"] = verdict.reason.id
        event["text"] = describe(verdict.reason)
    if verdict.would != verdict.action:
        event["would"] = verdict.would.word
    event["from"] = address(envelope.sender)
    event["to"] = [address(each) for each in envelope.recipients[:_RECIPIENTS]]
    event["recipients"] = len(envelope.recipients)
    event["client"] = printable(envelope.client, 64)
    event["findings"] = len(verdict.findings)
    if verdict.errors:
        event["errors"] = ",".join(verdict.errors[:8])
    return event


def describe(finding: Finding) -> str:
    """A finding in one line: the field, then what is wrong with it."""
    text = printable(finding.message, 300)
    return f"{printable(finding.field, 80)}: {text}" if finding.field else text


def address(path: bytes) -> str:
    """An envelope address between angle brackets, escaped and cut."""
    inner = path[1:-1] if path[:1] == b"<" and path[-1:] == b">" else path
    return f"<{printable(inner, _ADDRESS_BYTES)}>"


def _in_words(event: Mapping[str, object]) -> str:
    parts: list[object] = [event["queue_id"], event["action"]]
    parts += [event[name] for name in ("validator", "text") if name in event]
    details = [f"from={event['from']}", *_pairs("to", event["to"])]  # type: ignore[arg-type]  # a list by construction
    details += [f"{name}={event[name]}" for name in ("client", "would", "errors") if event.get(name)]
    details += [f"{name}={event[name]}" for name in ("recipients", "findings") if event[name] != 1]
    return ": ".join(map(str, parts)) + "; " + " ".join(details)


def _pairs(name: str, values: Iterable[str]) -> list[str]:
    return [f"{name}={value}" for value in values]
