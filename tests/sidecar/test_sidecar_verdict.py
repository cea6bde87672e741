"""The table of verdicts: what each end of a worker is."""

from __future__ import annotations

import os
import signal

import pytest

from forebay.sidecar.limits.leaf import Counters
from forebay.sidecar.verdict import LOSSES, STRIKES, End, Verdict, judge

OWN = Counters(max=3, oom=1, kill=1)
OTHERS = Counters(kill=1)

CASES = [
    (End(status=signal.SIGKILL, holding=True, added=OWN), "memory"),
    (End(status=signal.SIGKILL, holding=True, added=OTHERS), "collateral"),
    (End(status=signal.SIGKILL, holding=True, added=Counters(oom=1, kill=1, above=1)), "collateral"),
    (End(status=signal.SIGKILL, holding=True, added=Counters(oom=1, kill=1, above=1), near_limit=True), "memory"),
    (End(status=75 << 8, holding=True, added=OWN), "memory"),
    (End(status=0, holding=True, added=OWN), "memory"),
    (End(status=signal.SIGKILL, holding=True), "not-ours"),
    (End(status=137 << 8, holding=True), "error"),
    (End(status=signal.SIGTERM, holding=True), "not-ours"),
    (End(status=signal.SIGINT, holding=True), "not-ours"),
    (End(status=signal.SIGHUP, holding=True), "not-ours"),
    *[(End(status=each, holding=True), "crash") for each in (
        signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)],
    (End(status=signal.SIGSEGV | 0x80, holding=True), "crash"),
    (End(status=signal.SIGXCPU, holding=True), "cpu"),
    (End(status=signal.SIGXFSZ, holding=True), "disk"),
    (End(status=1 << 8, holding=True), "error"),
    (End(status=1 << 8, holding=False), "idle"),
    (End(status=os.EX_TEMPFAIL << 8, holding=True), "deferred"),
    (End(status=0, holding=True), "lost"),
    (End(status=0, holding=False), "idle"),
    (End(status=None, holding=True), "lost"),
    (End(status=None, holding=False), "idle"),
    (End(), "idle"),
    (End(status=signal.SIGKILL, holding=True, order="memory"), "memory"),
    (End(status=signal.SIGKILL, holding=True, order="stuck"), "stuck"),
    (End(status=signal.SIGKILL, holding=True, order="cpu"), "cpu"),
    (End(status=signal.SIGKILL, holding=True, order="time"), "waiting"),
    (End(status=signal.SIGKILL, holding=True, order="stop", added=OWN), "ordered"),
]  # fmt: skip


@pytest.mark.parametrize(("end", "verdict"), CASES)
def test_the_table(end: End, verdict: str) -> None:
    """Counters first, then what we ordered or the status says."""
    assert judge(end) == verdict


def test_waiting_and_accidents_are_no_strikes() -> None:
    """Nobody is struck for an outage, for the machine's limit, for a signal of somebody else, or for our own stop."""
    innocent = {"collateral", "waiting", "lost", "deferred", "not-ours", "ordered", "idle"}
    assert {each.value for each in Verdict if each not in STRIKES} == innocent


def test_three_losses_make_a_strike() -> None:
    """Fewer may be restarts of a router that nobody told us of; with more a killer goes round that leaves no trace."""
    assert LOSSES == 3
