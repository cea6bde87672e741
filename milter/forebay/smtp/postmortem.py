"""Why a worker ended: from its exit status, from what stands in its slot of the shared page, and from its last stack.

A status alone proves nothing, since a plugin can exit with any. A hang is one that the watchdog wrote a stack of.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.logs import printable
from forebay.smtp.watchdog import HUNG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.smtp.page import Record

BY_THE_CLOCK: Final = 1
"""The status with which faulthandler ends a process."""

BURNT: Final = 0.1
"""The share of `hang_time` in CPU time that proves that CPU was burnt: who waits uses none, and on a busy machine who
burns does not get much more."""

_FRAME: Final = re.compile(rb'  File "([^"\n]*+)", line (\d++) in ([^\n]*+)')
_CALLER: Final = re.compile(rb"[/\\]judge[/\\](?:guard|runner)\.py$")
_MOST_TRACE: Final = 1 << 18
_NO_DIGEST: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class Cause:
    """`reason` is one of metrics.ENDS. `remember`: the header that burnt the CPU, where it is known for certain."""

    reason: str
    text: str
    validator: str = ""
    remember: bytes = b""


def read_trace(descriptor: int) -> bytes:
    """What the watchdog wrote before the end."""
    return os.pread(descriptor, _MOST_TRACE, 0)


def examine(status: int, ordered: str, records: Sequence[Record], trace: bytes, hang_time: float) -> Cause:
    """Why a worker ended: `status` as os.waitstatus_to_exitcode gives it, `ordered` why we told it to, if we did."""
    if trace and status in {HUNG, -signal.SIGPROF, BY_THE_CLOCK}:
        return _hang(status, records, trace, hang_time)
    if status == os.EX_OK and ordered:
        return Cause(ordered, f"ended: {ordered}")
    busy = next((each.validator for each in records if each.validator), "")
    culprit = f" while validator {busy} ran" if busy else ""
    if status == -signal.SIGKILL:
        return Cause("killed", f"killed by a signal that was not ours{culprit}", busy)
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return Cause("crashed", f"ended by itself {how}{culprit}", busy)


def _hang(status: int, records: Sequence[Record], trace: bytes, hang_time: float) -> Cause:
    suspects = [each for each in records if each.validator] or list(records)
    culprit = max(suspects, key=lambda each: each.cpu, default=None)
    validator = culprit.validator if culprit else ""
    who = f"validator {validator}" if validator else "forebay's own code"
    place = _place(trace)
    text = f"ended: {who} did not come back within {hang_time:g} s" + (f"; it was at {place}" if place else "")
    # A timer of CPU time proves that CPU was burnt, but where several were at work not by whom.
    burnt = len(suspects) == 1 if status == -signal.SIGPROF else bool(culprit and culprit.cpu > BURNT * hang_time * 1e9)
    remember = culprit.digest if culprit and validator and burnt and culprit.digest != _NO_DIGEST else b""
    return Cause("hang", text, validator, remember)


def _place(trace: bytes) -> str:
    """The innermost place of the thread that judges: `rogue.py, line 7, in check`."""
    for thread in trace.split(b"\n\n"):
        frames = _FRAME.findall(thread)
        if any(_CALLER.search(path) for path, _, _ in frames):
            path, line, function = frames[0]
            return f"{printable(path)}, line {line.decode()}, in {printable(function, 80)}"
    return ""
