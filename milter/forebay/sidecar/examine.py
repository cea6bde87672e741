"""What the sidecar reads of a message in the spool: its verdict and its fingerprints, each message once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from forebay.config import Policy
from forebay.judge.discovery import discover
from forebay.judge.load import judge_of
from forebay.judge.traits import shaping, traits
from forebay.judge.verdict import CLEAN, Verdict
from forebay.message import fingerprint
from forebay.message.split import split

if TYPE_CHECKING:
    from forebay.api.router import Adapter, Message
    from forebay.config import Config
    from forebay.message.envelope import Envelope

_REMEMBERED: Final = 20_000
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Examined:
    """The fingerprints of a message, where it has any, and its envelope sender."""

    exact: bytes | None = None
    shape: bytes | None = None
    sender: bytes = b""

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Those that it has, the exact one first."""
        return tuple(each for each in (self.exact, self.shape) if each)


class Examiner:
    """Reads messages. Two judges: the site's for the gate, and `protect` without exceptions for fingerprints."""

    def __init__(self, config: Config, adapter: Adapter) -> None:
        known, _ = discover(config.plugins.directory, config.milter.user)
        self._gate, _ = judge_of(known, config)
        self._protect, _ = judge_of(known, replace(config, policy=Policy(), validators={}), "protect")
        self._shaping = shaping(known)
        self._adapter = adapter
        self._cache: OrderedDict[bytes, Examined] = OrderedDict()

    def examine(self, message: Message) -> Examined:
        """The fingerprints of a message, wherever it lies now; nothing of one that cannot be read."""
        known = self._cache.get(message.identity)
        if known is None:
            known = self._examine(message)
            if known is None:
                return Examined()  # as for now: a copy that has no fingerprints would be one more killer
            self._cache[message.identity] = known
            if len(self._cache) > _REMEMBERED:
                self._cache.popitem(last=False)
        return known

    def judge(self, path: str) -> Verdict:
        """The site's verdict on a file, as the milter would give it; a clean one on a file that is gone."""
        fields, envelope, body, _ = self._read(path)
        return self._gate.judge(fields, envelope, body) if envelope else CLEAN

    def _examine(self, message: Message) -> Examined | None:
        fields, envelope, body, sender = self._read(message.path)
        for _ in range(_TRIES):
            there = self._adapter.find(message) if envelope is None else None
            if there is None:
                break
            fields, envelope, body, sender = self._read(there.path)  # a router has renamed it, as its claim
        if envelope is None:
            return None
        verdict = self._protect.judge(fields, envelope, body)
        shape = fingerprint.shape(traits(verdict, fields, envelope, self._shaping))
        return Examined(fingerprint.exact(fields, sender), shape, sender)

    def _read(self, path: str) -> tuple[tuple[tuple[bytes, bytes], ...], Envelope | None, bytes, bytes]:
        try:
            reading = self._adapter.read(path)
        except OSError:
            return (), None, b"", b""
        parts = split(reading.raw)
        envelope = reading.envelope
        if not envelope.recipients and envelope.sender == b"<>" and parts.sender:
            envelope = replace(envelope, sender=parts.sender)
        fields = parts.fields if reading.fields is None else reading.fields
        return fields, envelope, parts.body[:65535], envelope.sender
