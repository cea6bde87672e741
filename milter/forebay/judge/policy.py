"""The policy: what a finding leads to, compiled at load into look-up tables.

In this order:

1. The preset. `protect` takes what the validator states (in From and Sender, what it states for those) or the level
   that the finding asks for; `strict` the more severe of that and what the validator states for strict; `observe`
   what `protect` takes, and then does nothing.
2. `[policy.actions]`: an id goes before a glob, a glob with more plain characters before one with fewer, and of
   equals the later one holds. What is written there holds for every finding of the validator.
3. The null sender: at most the action that the validator (or its `null_sender` option) states for bounces.
4. Exemptions: hygiene is at most tagged for exempt clients and recipients; for exempt and authenticated clients a
   rejection becomes a quarantine, since printers and cron jobs ignore a 5xx. Nothing else is softened for anyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TYPE_CHECKING

from forebay.config_mistakes import dotted, nearest
from forebay.errors import Mistake
from forebay.message.finding import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forebay.api import Spec
    from forebay.config import Exempt as ExemptSection
    from forebay.config_types import Network
    from forebay.message.envelope import Envelope

SOFT = 1
"""Hygiene is at most tagged."""
HOLD = 2
"""A rejection becomes a quarantine."""
NULL = 4
"""The message is a bounce."""
PROFILES = range(8)

ACTIONS = (Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.REJECT)

_REQUESTS = (None, *Action)


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one validator's findings: `table[profile][author][request]`."""

    table: tuple[tuple[tuple[Action, ...], ...], ...]

    def action(self, profile: int, author: bool, requested: Action | None) -> Action:
        """The action for a finding: `author` where it is in From or Sender, `requested` what the finding asks for."""
        return self.table[profile][author][0 if requested is None else requested + 1]

    def can_be(self, action: Action, *, held: bool) -> bool:
        """Whether a finding may lead to this action; `held`: also for clients whose rejections become quarantines."""
        return any(action in row for profile in PROFILES if held or not profile & HOLD for row in self.table[profile])


def compile_rule(spec: Spec, preset: str, override: Action | None, null_sender: Action | None) -> Rule:
    """The rule of one validator; `override` is what `[policy.actions]` says, `null_sender` its option."""
    bounce = spec.null_sender if null_sender is None else null_sender

    def action(profile: int, author: bool, requested: Action | None) -> Action:
        chosen = _preset_action(spec, preset, author, requested) if override is None else override
        if profile & NULL and bounce is not None:
            chosen = min(chosen, bounce)
        if profile & SOFT and spec.group == "hygiene":
            chosen = min(chosen, Action.TAG)
        if profile & HOLD and chosen is Action.REJECT:
            chosen = Action.QUARANTINE
        return chosen

    return Rule(
        tuple(
            tuple(tuple(action(profile, author, requested) for requested in _REQUESTS) for author in (False, True))
            for profile in PROFILES
        )
    )


def _preset_action(spec: Spec, preset: str, author: bool, requested: Action | None) -> Action:
    stated = spec.author_action if author else spec.action
    strict = spec.strict_author if author else spec.strict
    chosen = stated if requested is None else requested
    # Strictness that the author did not state leaves the lower levels of a budget as they are.
    return max(chosen, strict) if preset == "strict" and strict > stated else chosen


def overrides(actions: Mapping[str, str], ids: Sequence[str]) -> tuple[dict[str, Action], list[Mistake]]:
    """What `[policy.actions]` says of each validator id, and the entries that match none."""
    chosen: dict[str, Action] = {}
    mistakes: list[Mistake] = []
    by_weight = sorted(actions, key=_weight)
    for pattern in by_weight:
        matched = [each for each in ids if each == pattern or fnmatchcase(each, pattern)]
        if not matched:
            place = dotted(("policy", "actions", pattern))
            mistakes.append(Mistake(place, f"no validator of that name{nearest(pattern, ids)}"))
        for each in matched:
            chosen[each] = Action[actions[pattern].upper()]
    return chosen, mistakes


def _weight(pattern: str) -> tuple[bool, int]:
    """How exactly a pattern names its validators."""
    wild = sum(pattern.count(each) for each in "*?[")
    return not wild, len(pattern) - wild


class Exemptions:
    """Who a message comes from and goes to, as far as the policy makes a difference."""

    __slots__ = ("_authenticated", "_domains", "_full", "_networks", "_recipients")

    def __init__(self, exempt: ExemptSection) -> None:
        listed = [each.lower().encode() for each in exempt.recipients]
        self._networks = exempt.networks
        self._full = exempt.full
        self._authenticated = exempt.authenticated
        self._recipients = frozenset(each for each in listed if not each.startswith(b"@"))
        self._domains = frozenset(each for each in listed if each.startswith(b"@"))

    def full(self, envelope: Envelope) -> bool:
        """Whether nothing of this message is judged."""
        return bool(self._full) and _within(envelope.client, self._full)

    def profile(self, envelope: Envelope) -> int:
        """SOFT, HOLD and NULL, as they apply to this message."""
        profile = NULL if envelope.null_sender else 0
        if (envelope.authenticated and self._authenticated) or _within(envelope.client, self._networks):
            return profile | SOFT | HOLD
        if envelope.recipients and all(map(self._is_listed, envelope.recipients)):
            return profile | SOFT
        return profile

    @property
    def can_hold(self) -> bool:
        """Whether there are clients for whom a rejection becomes a quarantine."""
        return self._authenticated or bool(self._networks)

    def _is_listed(self, recipient: bytes) -> bool:
        if not self._recipients and not self._domains:
            return False
        address = recipient.strip(b"<>").lower()
        return address in self._recipients or address[address.rfind(b"@") :] in self._domains


def _within(client: str, networks: Iterable[Network]) -> bool:
    if not networks or not client:
        return False
    try:
        address = ip_address(client.removeprefix("IPv6:"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)
