"""Matching mail with the fingerprints of what killed a router: in memory only, and without waiting for anybody.

Who follows the store writes a snapshot into a small file; whoever judges reads it when told to. What is known stays
known while the database is away, and after a restart.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import files
from forebay.config import Policy
from forebay.errors import ConfigError
from forebay.judge.discovery import discover
from forebay.judge.load import judge_of
from forebay.judge.policy import HOLD, Exemptions
from forebay.judge.reach import Reach
from forebay.judge.traits import shaping, traits
from forebay.judge.verdict import Verdict
from forebay.message import fingerprint
from forebay.message.finding import Action, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forebay.config import Config
    from forebay.judge.discovery import Known as KnownValidator
    from forebay.judge.runner import Judge
    from forebay.message.envelope import Envelope

NAME: Final = "fingerprints.json"
_MOST_BYTES: Final = 64 << 20
FINDING: Final = "fingerprint"
"""The id of the finding that a match makes."""
ACTIONS: Final = {"quarantine": Action.QUARANTINE, "reject": Action.REJECT, "tag": Action.TAG}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known: each digest with when it expires. `is_full`: this host's quarantine takes no more.

    `at` is when it was made. `dropped` are those that are no longer matched: revoked or suspended.
    """

    exact: Mapping[bytes, float] = field(default_factory=dict)
    shape: Mapping[bytes, float] = field(default_factory=dict)
    is_full: bool = False
    at: float = 0.0
    dropped: frozenset[bytes] = frozenset()


NOTHING: Final = Snapshot()


def write(state: Path, snapshot: Snapshot) -> None:
    """Replace the file as a whole. Raises OSError where it cannot be written."""
    rows = [
        [digest.hex(), kind, expires]
        for kind, known in (("exact", snapshot.exact), ("shape", snapshot.shape))
        for digest, expires in known.items()
    ]
    dropped = sorted(each.hex() for each in snapshot.dropped)
    said = {"at": snapshot.at, "full": snapshot.is_full, "fingerprints": rows, "dropped": dropped}
    files.replace(state / NAME, json.dumps(said).encode("ascii") + b"\n")


def read(state: Path) -> Snapshot:
    """What the file says; nothing where it is missing or damaged."""
    try:
        with os.fdopen(files.open_regular(state / NAME), "rb") as file:
            given = json.loads(file.read(_MOST_BYTES))
        known: dict[str, dict[bytes, float]] = {"exact": {}, "shape": {}}
        for digest, kind, expires in given["fingerprints"]:
            known[kind][bytes.fromhex(digest)] = float(expires)
        dropped = frozenset(bytes.fromhex(each) for each in given.get("dropped", ()))
        return Snapshot(known["exact"], known["shape"], bool(given["full"]), float(given["at"]), dropped)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return NOTHING


class Matcher:
    """Compares mail with a snapshot."""

    def __init__(self, protect: Judge, ids: frozenset[str], config: Config) -> None:
        self.snapshot = NOTHING
        self.protect = protect
        self.action = ACTIONS[config.fingerprints.action]
        self._ids = ids
        self._exemptions = Exemptions(config.policy.exempt)
        self._observe = config.policy.preset == "observe"
        self._reach = Reach(Path(config.milter.state), config.fingerprints.suspend_after)

    def renew(self, snapshot: Snapshot) -> None:
        """Compare with this one from now on."""
        self.snapshot = snapshot
        self._reach.forget_others(snapshot.exact.keys())

    def digests(
        self, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, body: bytes = b""
    ) -> tuple[bytes | None, bytes | None]:
        """Both fingerprints of a message, as the sidecar makes them of the file in the spool."""
        return fingerprint.exact(fields, envelope.sender), self._shape(fields, envelope, body)

    def match(
        self, verdict: Verdict, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, body: bytes = b""
    ) -> tuple[Verdict, bytes]:
        """The verdict, more severe where the message is like a killer; and the digest that matched, else nothing.

        The first copy beyond `suspend_after` matches too, so that the store hears of it, but nothing is done to it.
        """
        known = self.snapshot
        if (not known.exact and not known.shape) or self._exemptions.full(envelope):
            return verdict, b""
        digest, kind = self._known(verdict, fields, envelope, body), "shape"
        if not digest and known.exact:
            digest, kind = self._known_exactly(fields, envelope), "exact"
            if digest and self._is_beyond(digest, verdict, envelope):
                return verdict, digest if self._reach.is_news(digest) else b""
        if not digest:
            return verdict, b""
        text = f"this is like a message that killed a mail router ({kind} {digest.hex()[:12]})"
        action = self.action
        if action is Action.REJECT and self._exemptions.profile(envelope) & HOLD:
            action = Action.QUARANTINE
        finding = Finding(FINDING, b"", -1, 0, 0, text, action)
        return _with(verdict, finding, action, observe=self._observe), digest

    def _known(self, verdict: Verdict, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, body: bytes) -> bytes:
        """The shape, where it is known. A message without a finding that shapes has none."""
        if not self.snapshot.shape or self._ids.isdisjoint([each.id for each in verdict.findings]):
            return b""
        digest = self._shape(fields, envelope, body)
        return digest if digest and _is_live(self.snapshot.shape, digest) else b""

    def _known_exactly(self, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope) -> bytes:
        digest = fingerprint.exact(fields, envelope.sender)
        return digest if digest and _is_live(self.snapshot.exact, digest) else b""

    def _is_beyond(self, digest: bytes, verdict: Verdict, envelope: Envelope) -> bool:
        """Whether it has matched otherwise good mail for too many recipients of this host, these included."""
        is_good = all(each.action is Action.ACCEPT for each in verdict.findings)
        return is_good and self._reach.is_beyond(digest, envelope.recipients)

    def _shape(self, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, body: bytes) -> bytes | None:
        """Who the client was does not matter: the file in a spool does not say."""
        nobody = replace(envelope, client="", authenticated=False)
        verdict = self.protect.judge(fields, nobody, body)
        return fingerprint.shape(traits(verdict, fields, nobody, self._ids))


def load_judge_and_matcher(config: Config) -> tuple[Judge, Matcher]:
    """The judge of a configuration, and its matcher. Raises ConfigError as `load_judge` does."""
    known, mistakes = discover(config.plugins.directory, config.milter.user)
    judge, more = judge_of(known, config)
    if mistakes + more:
        raise ConfigError(config.source, mistakes + more)
    return judge, matcher_of(known, config)


def matcher_of(known: Sequence[KnownValidator], config: Config) -> Matcher:
    """The matcher of a configuration. Its judge is `protect` without exceptions, so that all views agree."""
    protect, _ = judge_of(known, replace(config, policy=Policy(), validators={}), "protect")
    return Matcher(protect, shaping(known), config)


def _is_live(known: Mapping[bytes, float], digest: bytes) -> bool:
    return known.get(digest, 0.0) > time.time()


def _with(verdict: Verdict, finding: Finding, action: Action, *, observe: bool) -> Verdict:
    would = max(verdict.would, action)
    found = tuple(sorted((finding, *verdict.findings), key=lambda each: -(each.action or Action.ACCEPT)))
    return Verdict(verdict.action if observe else max(verdict.action, action), would, found, verdict.errors)
