"""What the Postfix adapter reads in queue files, in its configuration, and which limits a service has."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.api.router import Process, Site
from forebay.config_router import Router, RouterLimits, Service
from forebay.sidecar import moves
from forebay.sidecar.bounding import Bounding
from forebay.sidecar.routers import postfix_file
from forebay.sidecar.routers.postfix import Postfix

if TYPE_CHECKING:
    from pathlib import Path

ARRIVED = 1_764_000_000


def record(kind: bytes, value: bytes) -> bytes:
    """A letter, a length in groups of seven bits with the lowest first, and the value."""
    length, groups = len(value), []
    while True:
        groups.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return kind + bytes(groups) + value


def queue_file(lines: list[bytes], sender: bytes = b"jane@example.org") -> bytes:
    """A file as Postfix writes it, with two recipients."""
    envelope = [
        record(b"T", b"%d 000042" % ARRIVED), record(b"A", b"client_address=192.0.2.1"), record(b"S", sender),
        record(b"R", b"joe@example.com"), record(b"M", b""),
    ]  # fmt: skip
    content = [record(b"N", line) for line in lines]
    return b"".join([*envelope, *content, record(b"X", b""), record(b"R", b"ann@example.com"), record(b"E", b"")])


@given(st.lists(st.binary(max_size=300)), st.binary(max_size=300))
def test_what_was_written_is_read(lines: list[bytes], sender: bytes) -> None:
    """Time of arrival, envelope and every line come back, whatever bytes they have."""
    data = queue_file(lines, sender)
    assert postfix_file.arrival(io.BytesIO(data)) == ARRIVED * 1_000_000 + 42
    found = postfix_file.read(io.BytesIO(data))
    assert found.envelope.sender == b"<%b>" % sender
    assert found.envelope.recipients == (b"<joe@example.com>", b"<ann@example.com>")
    assert found.envelope.client == "192.0.2.1"
    assert found.raw == b"".join(line + b"\n" for line in lines)


@given(st.binary(max_size=2000), st.integers(0, 2000), st.binary(max_size=20))
def test_no_file_is_too_odd(start: bytes, cut: int, change: bytes) -> None:
    """Random bytes, and good files that are cut or written over, are read without an error."""
    good = queue_file([b"Subject: hello", b"", b"Hello"])
    for data in (start, good[:cut], good[:cut] + change + good[cut + len(change) :]):
        assert postfix_file.arrival(io.BytesIO(data)) >= 0
        postfix_file.read(io.BytesIO(data))


def test_a_pointer_that_leads_back_ends() -> None:
    """A pointer to itself, and one to lines before it, are followed only so often, and no more is kept than a mebibyte."""
    data = record(b"T", b"%d" % ARRIVED)
    assert postfix_file.read(io.BytesIO(data + record(b"p", b"%010d" % len(data)))).raw == b""
    endless = record(b"M", b"") + record(b"N", b"x" * 60_000) + record(b"p", b"%010d" % 2)
    assert len(postfix_file.read(io.BytesIO(endless)).raw) <= 1 << 20


class Counted(io.BytesIO):
    """A file that counts how often somebody reads from it."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize("records", [1, 10, 100])
def test_who_goes_round_in_a_file_reads_no_more_than_there_is(records: int) -> None:
    """A hundred bytes whose pointer leads to their start took a third of a second of the sidecar's time."""
    file = Counted(record(b"L", b"") * records + record(b"p", b"%015d" % 2))
    postfix_file.read(file)
    assert 0 < file.reads <= 3 * len(file.getvalue())


@pytest.mark.parametrize("digits", [19, 5000, 1_000_000])
def test_a_pointer_that_leads_nowhere_ends(digits: int) -> None:
    """No file has such a place, and Python reads no number of more than 4,300 digits: what was read before counts."""
    data = record(b"T", b"%d" % ARRIVED) + record(b"S", b"jane@example.org") + record(b"p", b"9" * digits)
    assert postfix_file.arrival(io.BytesIO(data)) == ARRIVED * 1_000_000
    assert postfix_file.read(io.BytesIO(data)).envelope.sender == b"<jane@example.org>"
    assert postfix_file.arrival(io.BytesIO(data[data.index(b"S\x10") :])) == 0


def test_a_file_that_is_barred_is_none_for_pickup_and_known_all_the_same(tmp_path: Path) -> None:
    """What pickup may not take is no message to a look at the queue, and is found by who knows it; put back, it is one."""
    for name in ("maildrop", "incoming", "active", "deferred", "hold", "forebay-aside"):
        (tmp_path / name).mkdir()
    adapter = Postfix(Site(spool=(str(tmp_path),), aside=str(tmp_path / "forebay-aside")))
    file, aside = tmp_path / "maildrop/0123456789A", tmp_path / "forebay-aside/1.msg"
    file.write_bytes(queue_file([b"Subject: x"]))
    file.chmod(0o700)
    known = adapter.message(str(file))
    assert known
    adapter.bar(known)
    assert adapter.message(str(file)) is None
    found = adapter.find(known)
    assert found
    assert found.identity == known.identity
    assert adapter.set_aside(known, str(aside), moves.move) == str(aside)
    adapter.put_back(known, str(file), str(aside), moves.move)
    again = adapter.message(str(file))
    assert again
    assert again.identity == known.identity


def test_a_service_has_its_own_limits_then_the_adapters_then_all_others() -> None:
    """What [router.services.NAME] says comes first, then what the adapter has for it, then [router.limits]."""
    router = Router(
        limits=RouterLimits(memory=512 << 20, message_time=60.0, message_cpu=30.0),
        services={"evil": Service(memory=64 << 20), "pickup": Service(guard=False)},
    )

    class Named(Postfix):
        """Calls each process by its command."""

        def services(self, worker: Process) -> tuple[str, ...]:
            return tuple(each.decode() for each in worker.command)

    bounding = Bounding(router, Named(Site()), 0)
    bounds, times = bounding.of(Process(1, 1, 0, (b"evil", b"pipe")))
    assert (bounds.memory, times.message_time, times.message_cpu) == (64 << 20, 0.0, 30.0)
    assert bounds.memory // 2 <= bounds.brake < bounds.memory
    bounds, times = bounding.of(Process(2, 1, 0, (b"cleanup",)))
    assert (bounds.memory, times.message_time) == (256 << 20, 60.0)
    bounds, times = bounding.of(None)
    assert (bounds.memory, times.message_time) == (512 << 20, 60.0)
    assert bounding.guards(Process(2, 1, 0, (b"cleanup",)))
    assert not bounding.guards(Process(3, 1, 0, (b"pickup",)))


def test_a_name_that_no_service_has_is_told(tmp_path: Path) -> None:
    """A table [router.services.NAME] for a service that master.cf does not have is a mistake, with what it may have meant."""
    (tmp_path / "main.cf").touch()
    (tmp_path / "master.cf").write_text("# comment\nevil unix - n n - - pipe\n  argv=/bin/true\n")
    for name in ("maildrop", "incoming", "active", "deferred", "hold"):
        (tmp_path / name).mkdir()
    aside = str(tmp_path / "forebay-aside")
    spool, config = (str(tmp_path),), str(tmp_path)
    good = Postfix(Site(spool=spool, config=config, aside=aside, services=("evil", "cleanup")))
    assert good.mistakes() == []
    bad = Postfix(Site(spool=spool, config=config, aside=aside, services=("evli",)))
    assert bad.mistakes() == [
        ("services.evli", f"{config}/master.cf has no service of this name; did you mean evil?"),
    ]


def test_what_takes_the_place_of_a_queue_file_is_not_read(tmp_path: Path) -> None:
    """Between looking and opening, the name may be made a link or a pipe: neither is followed, nor waited for."""
    (tmp_path / "active").mkdir()
    path, victim = tmp_path / "active/4BCDEFGHIJ", tmp_path / "victim"
    victim.write_bytes(queue_file([b"Subject: secret"]))
    adapter = Postfix(Site(spool=(str(tmp_path),), aside=str(tmp_path / "forebay-aside")))
    path.symlink_to(victim)
    assert adapter.message(str(path)) is None
    with pytest.raises(OSError, match="symbolic"):
        adapter.read(str(path))
    path.unlink()
    os.mkfifo(path)
    assert adapter.message(str(path)) is None
    with pytest.raises(OSError, match="regular"):
        adapter.read(str(path))
