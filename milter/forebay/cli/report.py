"""What `forebay check` says of each message: in words, with the bytes marked, or as JSON Lines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from forebay.cli.marking import mark
from forebay.cli.output import colours, json_line, paint, printable
from forebay.judge.wording import escape, sentence
from forebay.message.finding import Action

if TYPE_CHECKING:
    from typing import Protocol, TextIO

    from forebay.cli.marking import Source
    from forebay.cli.messages import Message
    from forebay.judge.verdict import Verdict
    from forebay.message.finding import Finding

    class Report(Protocol):
        """Takes the messages in their order."""

        def add(self, message: Message, verdict: Verdict, source: Source) -> None:
            """Take a message, and write what is to be said of it."""

        def close(self) -> None:
            """Write what can only be said at the end."""


MOST_SHOWN = 16
"""Findings of one message that are shown in words."""
MOST_NAME = 80

_DONE = {
    Action.ACCEPT: "accepted",
    Action.TAG: "tagged",
    Action.QUARANTINE: "quarantined",
    Action.TEMPFAIL: "deferred",
    Action.REJECT: "rejected",
}


class JsonReport:
    """One object a line; under the preset `observe` it also says what `would` have been done."""

    def __init__(self, stream: TextIO, *, observe: bool) -> None:
        self._write = stream.write
        self._observe = observe

    def add(self, message: Message, verdict: Verdict, _: Source) -> None:
        """Write the verdict."""
        shown: dict[str, object] = {"path": message.path, "index": message.index, "action": verdict.action.word}
        if self._observe:
            shown["would"] = verdict.would.word
        shown["findings"] = [plain(each) for each in verdict.findings]
        self._write(json_line(shown) + "\n")

    def close(self) -> None:
        """Nothing is left to say."""


class TextReport:
    """Words for a person, and a sum at the end. A message without findings is only counted."""

    def __init__(self, stream: TextIO, *, observe: bool) -> None:
        self._write = stream.write
        self._observe = observe
        self._coloured = colours(stream)
        self._counts: Counter[Action] = Counter()

    def add(self, message: Message, verdict: Verdict, source: Source) -> None:
        """Write the verdict and its findings, each with its mark."""
        self._counts[verdict.would] += 1
        if not verdict.findings:
            return
        name = printable(message.path) + (f", message {message.index + 1}" if message.is_boxed else "")
        lines = [f"{paint(name, 'path', coloured=self._coloured)}: {self._verdict(verdict)}"]
        for finding in verdict.findings[:MOST_SHOWN]:
            lines += finding_lines(finding, source, coloured=self._coloured)
        more = len(verdict.findings) - MOST_SHOWN
        if more > 0:
            lines.append(f"  and {more} more {'findings' if more > 1 else 'finding'} (shown with --json)")
        self._write("\n".join(lines) + "\n\n")

    def close(self) -> None:
        """Write how many messages there were, and what became of them."""
        total = sum(self._counts.values())
        parts = [f"{self._counts[action]:,} {_DONE[action]}" for action in _DONE if self._counts[action]]
        noted = " (observe: all accepted; this is what would have been done)" if self._observe else ""
        said = f": {', '.join(parts)}{noted}" if parts else ""
        self._write(f"{total:,} {'message' if total == 1 else 'messages'}{said}\n")

    def _verdict(self, verdict: Verdict) -> str:
        word = self._painted(verdict.action)
        return f"{word} (observe: would {self._painted(verdict.would)})" if self._observe else word

    def _painted(self, action: Action) -> str:
        return paint(action.word, action.word, coloured=self._coloured)


def finding_lines(finding: Finding, source: Source, *, coloured: bool) -> list[str]:
    """A finding in words, and the line that it is about with the place marked."""
    action = finding.action or Action.ACCEPT
    lines = [f"  {paint(action.word, action.word, coloured=coloured)}: {sentence(finding)}"]
    found = mark(finding, source)
    if found:
        lines.append(f"{found.number or '':>6} | {found.line}")
        lines.append(f"{'':>6} | {found.indent}{paint(found.sign, 'mark', coloured=coloured)}")
    return lines


def plain(finding: Finding) -> dict[str, object]:
    """A finding for JSON."""
    return {
        "id": finding.id,
        "field": escape(finding.field, MOST_NAME),
        "field_index": finding.field_index,
        "start": finding.start,
        "end": finding.end,
        "message": finding.message,
        "action": (finding.action or Action.ACCEPT).word,
    }
