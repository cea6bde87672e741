"""The small parts between the milter's processes: lines, the shared page, back-off, and why a worker ended."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.smtp import postmortem, remembered
from forebay.smtp.channel import Channel
from forebay.smtp.complaints import Complaints
from forebay.smtp.helper import BackOff
from forebay.smtp.page import ENTRIES, SLOTS, Page, Record, padded
from forebay.smtp.watchdog import HUNG, header_digest

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.smtp.postmortem import Cause

TRACE = b"""\
Timeout (0:00:05)!
Thread 0x00007f3e (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Thread 0x00007f3f (most recent call first):
  File "/opt/plugins/rogue.py", line 7 in check
  File "/opt/forebay/judge/guard.py", line 97 in _call_watched
  File "/opt/forebay/judge/runner.py", line 203 in _ask
"""
GUILTY = Record(71, bytes(range(16)), "rogue", 1000, 0)
OWN = Record(72, bytes(16), "", 1000, 0)


def test_a_line_carries_messages_and_descriptors_and_shows_its_end() -> None:
    """What is sent arrives whole and in order; afterwards the end of the process at the other end is seen."""
    one, other = Channel.pair()
    reader, writer = os.pipe()
    assert one.send("fork", (writer,), slot=3)
    assert one.send("drain")
    os.close(writer)
    message = other.receive()
    assert message
    assert (message.verb, message.given) == ("fork", {"slot": 3})
    os.write(message.descriptors[0], b"x")
    assert os.read(reader, 1) == b"x"
    drain = other.receive()
    assert drain
    assert drain.verb == "drain"
    assert other.receive_now() is None
    one.close()
    assert other.receive() is None
    assert other.send("ready") is False
    other.close()
    os.close(message.descriptors[0])
    os.close(reader)


def test_the_page_keeps_what_each_worker_wrote() -> None:
    """Heads and records of one slot are read as written, and are no other slot's."""
    page = Page()
    first, last = page.slot(0), page.slot(SLOTS - 1)
    first.write_beat(11, 30)
    first.write_sessions(2)
    last.write_sessions(7)
    last.write_beat(12, 40)
    last.write_entry(0, GUILTY)
    last.write_entry(ENTRIES - 1, OWN)
    assert (first.head(), last.head(), page.sessions()) == ((11, 2, 30), (12, 7, 40), 9)
    assert (first.records(), last.records()) == ([], [GUILTY, OWN])
    last.clear_entry(0)
    assert last.records() == [OWN]
    last.clear()
    assert (last.head(), last.records()) == ((0, 0, 0), [])
    assert first.head() == (11, 2, 30)


def test_a_beat_leaves_the_sessions_as_they_are() -> None:
    """Its thread cannot know how many there are at the moment that it writes: what is cut would be counted wrong."""
    slot = Page().slot(1)
    slot.write_sessions(1)
    slot.write_beat(11, 30)
    assert slot.head() == (11, 1, 30)


def test_the_page_names_a_validator_only_while_it_runs() -> None:
    """After it has come back, what goes wrong is not laid to it."""
    slot = Page().slot(2)
    slot.write_entry(1, OWN)
    slot.write_digest(1, GUILTY.digest)
    slot.enter(1, padded("rogue"))
    assert slot.records() == [Record(72, GUILTY.digest, "rogue", 1000, 0)]
    slot.leave(1)
    assert slot.records() == [Record(72, GUILTY.digest, "", 1000, 0)]
    assert padded("x" * 100) == b"x" * 64


def test_the_wait_grows_with_short_lives_and_is_forgotten_after_a_long_one() -> None:
    """The first death is replaced at once, the next ones later and later, up to a bound."""
    wait = BackOff()
    now, waits = 1000.0, []
    for _ in range(12):
        wait.ended(now - 1, now)
        waits.append(next(delay for delay in (0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10) if wait.is_over(now + delay)))
    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10]
    wait.ended(now - 3600, now)
    assert wait.is_over(now)


def cause(status: int, *records: Record, ordered: str = "", trace: bytes = b"") -> Cause:
    return postmortem.examine(status, ordered, records, trace, 5.0)


@pytest.mark.parametrize(
    ("found", "reason", "text"),
    [
        (cause(0, ordered="replaced"), "replaced", "ended: replaced"),
        (cause(0, ordered="memory"), "memory", "ended: memory"),
        (cause(0), "crashed", "ended by itself with status 0"),
        (cause(HUNG), "crashed", "ended by itself with status 3"),
        (cause(HUNG, GUILTY), "crashed", "ended by itself with status 3 while validator rogue ran"),
        (cause(-signal.SIGSEGV, OWN), "crashed", "ended by itself by signal 11"),
        (cause(-signal.SIGKILL), "killed", "killed by a signal that was not ours"),
        (
            cause(HUNG, GUILTY, trace=TRACE),
            "hang",
            "ended: validator rogue did not come back within 5 s; it was at /opt/plugins/rogue.py, line 7, in check",
        ),
        (cause(-signal.SIGPROF, OWN, trace=b"?"), "hang", "ended: forebay's own code did not come back within 5 s"),
    ],
)
def test_why_a_worker_ended(found: Cause, reason: str, text: str) -> None:
    """A status alone proves no hang, since a plugin can exit with any; a stack does."""
    assert (found.reason, found.text) == (reason, text)


def test_a_header_is_remembered_only_where_it_burnt_the_cpu_for_certain() -> None:
    """Not after a sleep, not in our own code, and not where several were at work and nobody knows who burnt it."""
    burnt = Record(71, GUILTY.digest, "rogue", 1000, 4_900_000_000)
    other = Record(73, bytes(range(1, 17)), "other", 1000, 0)
    assert cause(HUNG, burnt, other, trace=TRACE).remember == GUILTY.digest
    assert cause(-signal.SIGPROF, GUILTY, OWN, trace=TRACE).remember == GUILTY.digest
    assert cause(-signal.SIGPROF, GUILTY, other, trace=TRACE).remember == b""
    assert cause(HUNG, GUILTY, trace=TRACE).remember == b""
    assert cause(postmortem.BY_THE_CLOCK, GUILTY, trace=TRACE).remember == b""
    assert cause(-signal.SIGPROF, OWN, trace=TRACE).remember == b""


@given(st.binary(max_size=400))
def test_no_trace_is_too_strange(trace: bytes) -> None:
    """Whatever stands in it, a reason comes out, in one printable line."""
    found = cause(HUNG, GUILTY, trace=b"x" + trace + TRACE.replace(b"rogue", b"r\x1b\n\xff"))
    assert found.reason == "hang"
    assert found.text.isascii()
    assert found.text.isprintable()


def test_what_is_remembered_outlives_a_restart_and_is_bounded(tmp_path: Path) -> None:
    """The newest are kept, each once; a damaged file is like none."""
    assert remembered.load(tmp_path) == []
    for number in range(3):
        remembered.add(tmp_path, (f"{number:032x}", "rogue"))
    remembered.add(tmp_path, (f"{0:032x}", "rogue"))
    assert [int(digest, 16) for digest, _ in remembered.load(tmp_path)] == [1, 2, 0]
    (tmp_path / remembered.NAME).write_text("[[1, 2, 3]]")
    assert remembered.load(tmp_path) == []
    (tmp_path / remembered.NAME).write_text(str([[f"{number}", "v"] for number in range(3000)]).replace("'", '"'))
    remembered.add(tmp_path, ("new", "rogue"))
    kept = remembered.load(tmp_path)
    assert (len(kept), kept[-1]) == (remembered.MOST, ("new", "rogue"))


def test_a_digest_tells_where_a_name_ends() -> None:
    """Two headers whose bytes are the same in a row are two headers."""
    one = header_digest([(b"To", b"a"), (b"Cc", b"b")])
    assert one == header_digest(((b"To", b"a"), (b"Cc", b"b")))
    assert len({one, header_digest([(b"Toa", b""), (b"Cc", b"b")]), header_digest([(b"To", b"aCcb")])}) == 3


def test_a_failing_validator_is_named_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is counted; the line tells what was raised, even of an exception that has no text."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    complaints = Complaints(logging.getLogger("forebay.test"))
    for _ in range(5):
        complaints.note("rogue", LookupError("boom\n\x1b"))
    complaints.note("mute", MuteError())
    assert complaints.take() == {"rogue": 5, "mute": 1}
    assert complaints.take() == {}
    assert [each.getMessage() for each in caplog.records] == [
        r"validator rogue failed: LookupError: boom\x0a\x1b",
        "validator mute failed: MuteError: (without a text)",
    ]
