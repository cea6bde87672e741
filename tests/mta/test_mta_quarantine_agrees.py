"""The MTA's own quarantine and `forebay quarantine list` agree after mixed mail, releases, deletions and random kills."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from forebay.quickstart.raw_smtp import RawClient
from mta.private_sendmail import queue_id
from mta.private_site import DEADLINE, GOOD, HELD, RECIPIENT, REFUSED, SENDER, eventually, message, processes
from mta.quarantine_kit import quarantine_site
from mta.sendmail_desk import sendmail_desk

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from forebay.testing import MilterService
    from mta.quarantine_kit import Desk

MESSAGES: Final = 1000 if os.environ.get("FOREBAY_TESTS_LONG") else 50
KINDS: Final = {"good": GOOD, "held": message(HELD[0]), "refused": message(REFUSED[0])}
RIGHT: Final = {"good": 250, "held": 250, "refused": 550}
CUT: Final = 0
"""In place of a reply's code, where there was none."""


@dataclass(frozen=True, slots=True)
class Place:
    """An MTA with a milter and a desk. `main` is its first process; the rest tells queue ids."""

    milter: MilterService
    desk: Desk
    port: int
    main: int
    quarantined: Callable[[], set[str]]
    elsewhere: Callable[[], set[str]]
    """What was delivered, or waits to be."""


@contextmanager
def postfix() -> Iterator[Place]:
    """A Postfix, which does not wait a minute with what was killed."""
    with quarantine_site(service_throttle_time="1s") as (site, desk):
        mta = site.postfix
        pid = int((mta.folder / "queue/pid/master.pid").read_text())
        yield Place(
            site.milter, desk, mta.port, pid, lambda: set(mta.held()),
            lambda: {each["queue_id"] for each in mta.queue()} | names(mta.folder / "delivered"),
        )  # fmt: skip


@contextmanager
def sendmail() -> Iterator[Place]:
    """A Sendmail."""
    with sendmail_desk() as (site, desk):
        mta = site.sendmail
        pid = int((mta.folder / "sendmail.pid").read_text().split()[0])
        yield Place(
            site.milter, desk, mta.port, pid, lambda: mta.queued("hf"),
            lambda: mta.queued("qf") | names(mta.folder / "delivered"),
        )  # fmt: skip


def names(folder: Path) -> set[str]:
    """The names of the files in a directory."""
    return {each.name for each in folder.iterdir()}


def children(pid: int, *programs: bytes) -> list[int]:
    """The pids of a process's children that run one of these programs; all of them where none is named."""
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                program = Path(f"/proc/{child}/cmdline").read_bytes().partition(b"\0")[0]
                if not programs or program.startswith(programs):
                    found.append(int(child))
    return found


@dataclass(slots=True)
class Trouble:
    """Kills processes of the milter, the sidecar and the MTA, one after another, until it is over."""

    place: Place
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    done: list[str] = field(default_factory=list)
    sidecar: subprocess.Popen[bytes] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a sidecar, and kill, until the end of the block; the sidecar goes on."""
        self._start_sidecar()
        thread = threading.Thread(target=self._kill_on)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def end(self) -> None:
        """End the sidecar."""
        self._stack.close()

    def _start_sidecar(self) -> None:
        self.sidecar = self._stack.enter_context(self.place.desk.sidecar())

    def _kill_on(self) -> None:
        while not self._is_over.wait(self.dice.uniform(0.1, 0.6)):
            name = self.dice.choices(("worker", "session", "keeper", "clerk", "sidecar"), (4, 4, 2, 2, 1))[0]
            victims = self._victims(name)
            if victims:
                with suppress(ProcessLookupError):
                    os.kill(self.dice.choice(victims), signal.SIGKILL)
                    self.done.append(name)
            if name == "sidecar" and self.sidecar:
                self.sidecar.wait()
                self._start_sidecar()

    def _victims(self, name: str) -> list[int]:
        assert self.sidecar
        if name == "sidecar":
            return [self.sidecar.pid]
        if name == "clerk":
            return [each for clerk in children(self.sidecar.pid) for each in (clerk, *children(clerk))]
        if name == "session":
            return children(self.place.main, b"cleanup", b"smtpd", b"sendmail: ")
        return [each.pid for each in processes(self.place.milter, name)]


def send(place: Place, kind: str) -> tuple[int, str]:
    """The reply's code to one message, and its queue id where it was taken."""
    try:
        with RawClient(place.port, DEADLINE) as client:
            last = client.send(SENDER, (RECIPIENT,), KINDS[kind]).last
            return last.code, last.queue_id or queue_id(last)
    except (OSError, EOFError):
        return CUT, ""


def held(place: Place) -> dict[str, str]:
    """The entries of what the MTA is known to hold, by queue id."""
    return {each["place"]: each["id"] for each in place.desk.entries() if each["state"] == "held"}


@pytest.mark.parametrize("mta", [postfix, sendmail], ids=["postfix", "sendmail"])
def test_the_list_and_the_queue_agree_after_kills(mta: Callable[[], AbstractContextManager[Place]]) -> None:
    """Whatever was killed: what the MTA holds is listed, what is listed as held the MTA holds, nothing evil was let in,
    nothing that was taken is lost, and what was released or deleted meanwhile is that, and nothing else.
    """
    with mta() as place:
        trouble, dice = Trouble(place), random.Random(11)
        answers: list[tuple[str, int, str]] = []
        asked: dict[str, list[str]] = {"release": [], "delete": []}
        try:
            with trouble.running():
                for number in range(MESSAGES):
                    kind = dice.choice(list(KINDS))
                    answers.append((kind, *send(place, kind)))
                    if number == MESSAGES // 2:
                        known = sorted(held(place).values())
                        asked = {"release": known[::4], "delete": known[1::4]}
                        for verb, entries in asked.items():
                            yes = ("--yes",) if verb == "delete" else ()
                            place.desk.run("quarantine", verb, *yes, "-", given="\n".join(entries))
            assert {code for kind, code, _ in answers if code != RIGHT[kind]} <= {CUT, 421, 451}
            eventually(lambda: set(held(place)) == place.quarantined(), lambda: (held(place), place.quarantined()))
            agree(place, answers, asked)
            assert len(trouble.done) >= MESSAGES // 20, trouble.done
        finally:
            trouble.end()


def agree(place: Place, answers: list[tuple[str, int, str]], asked: dict[str, list[str]]) -> None:
    """Nothing is lost, and nothing is where it should not be."""
    everything = {each["id"]: each for each in place.desk.entries("--all")}
    state = {each["place"]: each["state"] for each in everything.values()}
    taken = {name: kind for kind, code, name in answers if code == 250}
    here, gone = place.quarantined(), place.elsewhere()
    assert [name for name, kind in taken.items() if kind == "good" and name not in gone] == []
    assert [name for name, kind in taken.items() if kind == "refused"] == []
    for name in (name for name, kind in taken.items() if kind == "held"):
        assert (state[name] == "held") == (name in here), name
        assert state[name] in {"held", "released", "deleted"}, (name, state[name])
    for verb, done in (("release", "released"), ("delete", "deleted")):
        places = {everything[each]["place"] for each in asked[verb]}
        assert {state[each] for each in places} <= {done}
        assert {name for name in state if state[name] == done} == places
    # What was announced, and came to nothing because its session was killed, is no entry of anything that is there.
    assert not {name for name in state if state[name] == "announced"} & here
