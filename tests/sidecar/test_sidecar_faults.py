"""Killed with SIGKILL at every single step of what it does with a message: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api.router import Site
from forebay.config import Config
from forebay.sidecar.examine import Examiner
from forebay.sidecar.routers.spool import Spool
from sidecar.cases_kit import Kit, begin, everywhere, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.sidecar.journal import Entry


@pytest.fixture(scope="module")
def examiner(tmp_path_factory: pytest.TempPathFactory) -> Examiner:
    """Loading validators takes a while: once is enough."""
    return Examiner(Config(), Spool(Site(spool=(str(tmp_path_factory.mktemp("none")),))))


def killed_at(step: int, root: Path, examiner: Examiner, act: Callable[[Kit], None]) -> bool:
    """Do something in a process of its own that is killed at this step; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        try:
            count = 0

            def kill(_: str) -> None:
                nonlocal count
                count += 1
                if count > step:
                    os.kill(os.getpid(), signal.SIGKILL)

            kit = begin(root, examiner=examiner)
            for part in (kit.aside, kit.journal, kit.cases._withholding):
                part._step = kill
            act(kit)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - what goes wrong in the child is the test's to see
            import traceback

            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status in {0, signal.SIGKILL}
    return status != 0


def steps(
    root: Path, prepare: Callable[[Path], None], examiner: Examiner, act: Callable[[Kit], None]
) -> Iterator[Path]:
    """A place for each step at which `act` can be killed, killed there; the last one has done it all."""
    for step in range(200):
        place = root / str(step)
        place.mkdir()
        prepare(place)
        was_killed = killed_at(step, place, examiner, act)
        yield place
        if not was_killed:
            assert step > 3
            return
    pytest.fail("it never came to its end")


def contents(root: Path) -> list[str]:
    """The bodies of all messages."""
    return sorted(path.read_text().rpartition("\n\n")[2].split()[0] for path in everywhere(root))


def entries(kit: Kit) -> list[Entry]:
    return kit.journal.entries("aside")


def struck(root: Path, examiner: Examiner) -> None:
    put(root, "killer", "evil")
    put(root, "copy", "evil")
    put(root, "good", "well")
    kit = begin(root, examiner=examiner)
    kit.strike("killer")
    kit.journal.close()


def test_the_retry(tmp_path: Path, examiner: Examiner) -> None:
    """A first strike: it is stored or not, the killer stays in the queue, its copy waits in one place."""

    def prepare(root: Path) -> None:
        put(root, "killer", "evil")
        put(root, "copy", "evil")
        put(root, "good", "well")

    def act(kit: Kit) -> None:
        kit.strike("killer")
        kit.settle()

    for root in steps(tmp_path, prepare, examiner, act):
        kit = begin(root, examiner=examiner)
        kit.settle()
        assert contents(root) == ["copy", "good", "killer"]
        assert {"killer", "good"} <= {each.name for each in (root / "spool").iterdir()}
        identity = kit.message("killer").identity
        record = kit.journal.record(identity)
        assert len(kit.journal.withheld()) == (1 if record else 0)
        Path(kit.message("killer").path).unlink()  # its retry went well
        kit.settle()
        kit.settle()
        assert {each.name for each in (root / "spool").iterdir() if each.is_file()} == {"copy", "good"}
        kit.journal.close()


def test_the_set_aside(tmp_path: Path, examiner: Examiner) -> None:
    """A second strike: killer and copy end aside, each once, the good one stays."""

    def act(kit: Kit) -> None:
        kit.settle()
        kit.strike("killer")
        kit.settle()

    for root in steps(tmp_path, lambda root: struck(root, examiner), examiner, act):
        kit = begin(root, examiner=examiner)
        kit.settle()
        if (root / "spool" / "killer").exists():  # killed before the strike was stored: it kills once more
            kit.strike("killer")
        kit.settle()
        kit.settle()
        assert contents(root) == ["copy", "good", "killer"]
        assert [each.name for each in (root / "spool").iterdir() if each.is_file()] == ["good"]
        assert len(entries(kit)) == 2
        assert len({each.identity for each in entries(kit)}) == 2
        assert all(Path(each.aside).is_file() for each in entries(kit))
        assert kit.journal.withheld() == []
        kit.journal.close()


def convicted(root: Path, examiner: Examiner) -> None:
    put(root, "killer", "evil")
    put(root, "good", "well")
    kit = begin(root, examiner=examiner)
    kit.strike("killer")
    kit.strike("killer")
    assert len(entries(kit)) == 1
    kit.journal.close()


@pytest.mark.parametrize("kind", ["release", "delete"])
def test_release_and_delete(tmp_path: Path, examiner: Examiner, kind: str) -> None:
    """Once asked for, it is done, and once only: the message is back in its place, or nowhere."""

    def act(kit: Kit) -> None:
        kit.ask(kind, entries(kit)[0].id)
        kit.settle()

    for root in steps(tmp_path, lambda root: convicted(root, examiner), examiner, act):
        kit = begin(root, examiner=examiner)
        asked = bool(kit.journal.requests()) or not entries(kit)
        kit.settle()
        kit.settle()
        if not asked:
            assert contents(root) == ["good", "killer"]
            assert len(entries(kit)) == 1
        elif kind == "release":
            assert sorted(each.name for each in (root / "spool").iterdir() if each.is_file()) == ["good", "killer"]
            assert contents(root) == ["good", "killer"]
            kit.strike("killer")  # it has one strike left
            assert len(entries(kit)) == 1
            assert contents(root) == ["good", "killer"]
        else:
            assert contents(root) == ["good"]
        assert kit.journal.entries("intended", "releasing", "deleting") == []
        kit.journal.close()


def test_suspects(tmp_path: Path, examiner: Examiner) -> None:
    """Two candidates: both are withheld, and come back one at a time, whenever we were killed."""

    def prepare(root: Path) -> None:
        for name in ("one", "two", "good"):
            put(root, name, name)

    def act(kit: Kit) -> None:
        from forebay.api.router import Confidence, Holding

        kit.cases.suspect([Holding(kit.message(each), Confidence.CERTAIN, "test") for each in ("one", "two")])
        kit.settle()

    for root in steps(tmp_path, prepare, examiner, act):
        kit = begin(root, examiner=examiner)
        for _ in range(4):
            kit.settle()
            assert contents(root) == sorted({"one", "two", "good"} & set(contents(root)))
            for name in ("one", "two"):
                (root / "spool" / name).unlink(missing_ok=True)  # let back, and routed
        assert contents(root) == ["good"]
        assert kit.journal.withheld() == []
        kit.journal.close()
