#!/usr/bin/env python3
"""What the validators find in mail that is known to be ham or spam: hits of each, and what is refused, with reasons.

    tests/corpus/measure.py --ham PATH... --spam PATH... [--preset strict]
    tests/corpus/measure.py

PATH is what `forebay check` takes: a file, a directory, an mbox, a Maildir. Without any, the SpamAssassin corpus is
measured, which is fetched when first used.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import spamassassin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

REFUSED = ("quarantine", "reject")
EVERYTHING_READ = (0, 1)
"""Exit statuses of `forebay check` where everything could be read; the others name what could not."""


@dataclass(slots=True)
class Measured:
    """What was found in messages of one kind: in how many, by whom, and which are refused."""

    messages: int = 0
    unread: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    """Messages in which a validator found something."""
    caused: Counter[str] = field(default_factory=Counter)
    """Messages that are refused for what a validator found."""
    actions: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Where the message is, and the reason."""

    def add(self, told: dict[str, Any]) -> None:
        """Count one message, as `forebay check --json` tells of it."""
        self.messages += 1
        self.actions[told["action"]] += 1
        findings = told["findings"]
        self.hits.update({each["id"] for each in findings})
        if told["action"] in REFUSED:
            decisive = [each for each in findings if each["action"] == told["action"]]
            self.caused.update({each["id"] for each in decisive})
            self.refused.append((_place(told), "; ".join(map(_reason, decisive))))

    @property
    def refused_share(self) -> float:
        """The share of the messages that are quarantined or rejected."""
        return len(self.refused) / self.messages if self.messages else 0.0


def share(measured: Measured) -> str:
    """How many messages are refused, in words."""
    return f"{len(measured.refused):,} ({measured.refused_share:.2%})"


def measure(paths: Iterable[Path], preset: str = "protect") -> Measured:
    """Run `forebay check` over these paths. Raises RuntimeError if it fails as a program."""
    measured = Measured()
    forebay = Path(sys.executable).with_name("forebay")
    command = [str(forebay), "check", "--json", "--preset", preset, "--", *map(str, paths)]
    with TemporaryFile("w+") as errors_file:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors_file, text=True) as check:
            assert check.stdout
            for line in check.stdout:
                measured.add(json.loads(line))
        errors_file.seek(0)
        errors = errors_file.read()
    if check.returncode not in EVERYTHING_READ:
        measured.unread = errors.splitlines()
    if check.returncode < 0 or not measured.messages:
        raise RuntimeError(f"forebay check ended with status {check.returncode}: {errors[-2000:]}")
    return measured


def table(ham: Measured, spam: Measured) -> Iterator[str]:
    """The figures as a Markdown table: the validators with hits, those that refuse most first."""
    yield f"| validator | hits in {ham.messages:,} ham | in {spam.messages:,} spam | refused ham | refused spam |"
    yield "|---|---:|---:|---:|---:|"
    found = set(ham.hits) | set(spam.hits)
    for each in sorted(found, key=lambda id_: (-spam.caused[id_] - ham.caused[id_], -spam.hits[id_], id_)):
        numbers = (ham.hits[each], spam.hits[each], ham.caused[each], spam.caused[each])
        yield f"| `{each}` | {' | '.join(f'{number:,}' if number else '' for number in numbers)} |"
    yield f"| all | | | {share(ham)} | {share(spam)} |"


def report(ham: Measured, spam: Measured) -> Iterator[str]:
    """All that was measured, in lines."""
    yield from table(ham, spam)
    for kind, measured in (("ham", ham), ("spam", spam)):
        told = ", ".join(f"{action} {number:,}" for action, number in measured.actions.most_common())
        yield f"\n{kind}: {measured.messages:,} messages: {told}"
        yield from (f"  could not be read: {each}" for each in measured.unread)
    yield f"\nRefused ham: {share(ham)}"
    yield from (f"  {place}: {reason}" for place, reason in ham.refused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line names, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ham", nargs="+", type=Path, default=[], metavar="PATH")
    parser.add_argument("--spam", nargs="+", type=Path, default=[], metavar="PATH")
    parser.add_argument("--preset", choices=("observe", "protect", "strict"), default="protect")
    given = parser.parse_args(arguments)
    if not given.ham and not given.spam:
        given.ham, given.spam = map(spamassassin.folders, (spamassassin.HAM, spamassassin.SPAM))
    ham, spam = (measure(each, given.preset) if each else Measured() for each in (given.ham, given.spam))
    print("\n".join(report(ham, spam)))
    return 0


def _place(told: dict[str, Any]) -> str:
    return f"{told['path']}:{told['index']}" if told["index"] else told["path"]


def _reason(finding: dict[str, Any]) -> str:
    place = f"{finding['field']}: " if finding["field"] else ""
    return f"{place}{finding['message']} ({finding['id']}, {finding['action']})"


if __name__ == "__main__":
    sys.exit(main())
