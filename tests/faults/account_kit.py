"""What became of every message that was sent, by what lies where: the clients' notes, Postfix, the spool, the index.

Nothing here asks forebay what it believes: mail is found where mail is, and then compared with what forebay says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults.sending_kit import DOUBTFUL, EVIL, GOOD, KILLER
from forebay.sidecar.journal import Journal

if TYPE_CHECKING:
    from faults.faults_kit import Chronicle
    from faults.sending_kit import Sent
    from faults.whole_kit import Whole

_QUEUED: Final = re.compile(r"postfix/cleanup\[\d+\]: (\w+): message-id=<(\w+)@example\.org>")
_KNOWN: Final = re.compile(rb"^Message-ID: <(\w+)@", re.MULTILINE)
_WINDOW: Final = 12.0
"""Seconds between a kill in Postfix and the second delivery that it explains."""


@dataclass(slots=True)
class Account:
    """Names of messages by what became of them, and everything that must not be."""

    delivered: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unindexed: list[str] = field(default_factory=list)
    duplicates: int = 0
    untraced: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{len(self.delivered)} delivered, {len(self.refused)} refused, {len(self.held)} held, {len(self.aside)} aside; "
            f"{len(self.missing)} missing, {len(self.unchecked)} unchecked, {len(self.unindexed)} not in the index; "
            f"{self.duplicates} delivered again, {len(self.untraced)} of them untraced"
        )


class Checker:
    """Looks once, when all is quiet."""

    def __init__(self, system: Whole, sent: dict[str, Sent], chronicle: Chronicle) -> None:
        assert system.postfix
        self._system, self._sent, self._chronicle = system, sent, chronicle
        self._name_of = dict(_QUEUED.findall(system.postfix.log()))
        self._held = {each: self._name_of.get(each, each) for each in system.postfix.held()}
        self._by: defaultdict[str, list[int]] = defaultdict(list)
        for line in system.site.delivered_file.read_text().splitlines():
            identity, _, pid = line.partition(";")
            self._by[identity[1:].partition("@")[0]].append(int(pid))
        self._handed: defaultdict[str, list[float]] = defaultdict(list)
        for line in system.handed.read_text().splitlines():
            queue_id, _, at = line.partition(" ")
            self._handed[queue_id].append(float(at))

    def account(self) -> Account:
        """All of it."""
        made = Account(held=set(self._held.values()), delivered=set(self._by))
        made.aside = {name_in(path) for path in self._system.site.aside.glob("*.msg")}
        for name, sent in self._sent.items():
            where = [group for group in (made.delivered, made.held, made.aside) if name in group]
            if sent.is_refused:
                made.refused.add(name)
            if not where and not sent.is_refused:
                made.missing.append(f"{name} ({sent.kind}, {sent.queue_ids})")
            if self._is_unchecked(sent, made):
                made.unchecked.append(f"{name} ({sent.kind})")
        self._look_at_index(made)
        for name, by in self._by.items():
            if len(by) > 1:
                made.duplicates += len(by) - 1
                made.untraced += self._untraced(name, by)
        return made

    def _is_unchecked(self, sent: Sent, made: Account) -> bool:
        """Whether it came through a door that was to stop it."""
        released = self._chronicle.released
        if sent.kind == DOUBTFUL:
            return sent.name in made.delivered and not any(self._name_of.get(each) == sent.name for each in released)
        return (sent.kind in {EVIL, KILLER} and sent.name in made.delivered) or (sent.kind == GOOD and sent.is_refused)

    def _look_at_index(self, made: Account) -> None:
        """Whatever is held or aside is in the index, once; whatever the index says to be there is."""
        system = self._system
        listed = system.desk.entries("--limit", "100000")
        held = Counter(each["place"] for each in listed if each["kind"] == "mta-hold")
        for each in {*self._held, *held}:
            if (each in self._held) != held[each]:
                states = [found for found in system.desk.entries("--all") if found["place"] == each]
                made.unindexed.append(f"held {each}: {held[each]} times; {states}")
        journal = Journal(system.site.root / "state-sidecar")
        aside = Counter(name_in(Path(each.aside)) for each in journal.entries("aside"))
        journal.close()
        known = Counter(each["id"] for each in listed if each["kind"] == "spool")
        made.unindexed += [f"aside {each}" for each in made.aside if not aside[each]]
        if sum(known.values()) != sum(aside.values()) or max(known.values(), default=1) > 1:
            made.unindexed.append(f"{sum(known.values())} in the index, {sum(aside.values())} aside")

    def _untraced(self, name: str, by: list[int]) -> list[str]:
        """The deliveries of a message beyond the first that no kill of ours explains."""
        sent = self._sent[name]
        queue_ids = [each for each, whose in self._name_of.items() if whose == name]
        handed = [at for each in queue_ids for at in self._handed[each]]
        wrong = []
        if len(queue_ids) - 1 > sent.cut + sent.deferred:  # a try that was cut may have been queued all the same
            wrong.append(f"{name}: queued as {queue_ids}, cut {sent.cut} times")
        for queue_id in queue_ids:
            for before, after in zip(self._handed[queue_id], self._handed[queue_id][1:], strict=False):
                if not self._chronicle.hurt_postfix(before - _WINDOW, after):
                    wrong.append(f"{name}: {queue_id} was handed over twice, {before:.1f} and {after:.1f}")
        died = sum(pid in self._chronicle.killed for pid in by)
        if len(by) > len(handed) + died:
            wrong.append(f"{name}: handed over {len(handed)} times, delivered by {by}, of whom {died} were killed")
        return wrong


def name_in(path: Path) -> str:
    """The name of the message in a file of the spool; empty where the file has gone."""
    try:
        found = _KNOWN.search(path.read_bytes())
    except OSError:
        return ""
    return found[1].decode() if found else ""
