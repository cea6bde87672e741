"""Record files: written whole or not at all, and read without trust."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay import records
from forebay.records import RecordedFinding, RecordError, Records, bounded, is_id, new_id, parse
from unit.store.stores import AT, record

BYTES = st.binary(max_size=40)


@pytest.fixture
def folder(tmp_path: Path) -> Records:
    """An empty directory of records."""
    made = Records(tmp_path)
    made.make()
    return made


@given(BYTES, st.lists(BYTES, max_size=5), st.lists(st.tuples(BYTES, BYTES), max_size=9))
def test_what_is_written_is_read(sender: bytes, recipients: list[bytes], header: list[tuple[bytes, bytes]]) -> None:
    """Any bytes of mail come back as they were."""
    made = record(sender=sender, recipients=tuple(recipients), header=tuple(header))
    plain = json.dumps(records._plain(made)).encode()
    assert parse(plain, made.id) == made


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(max_size=5) | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_bytes_are_taken_for_a_record(data: bytes) -> None:
    """Whatever a file holds, it is refused with a reason, and nothing else is raised."""
    with pytest.raises(RecordError):
        parse(data, new_id(AT))


@pytest.mark.parametrize(
    "name", ["id", "at", "host", "queue_id", "sender", "recipients", "size", "findings", "header", "shape", "version"]
)
@pytest.mark.parametrize("value", [None, True, -1, 1e300, [], {}, "\x1b[2J", "\u20ac", [[1]], "x" * 5000])
def test_a_member_of_another_kind_is_refused(name: str, value: Any) -> None:
    """A record in which one member is not what it has to be is no record, or still a harmless one."""
    made = record()
    plain = records._plain(made) | {name: value}
    try:
        found = parse(json.dumps(plain).encode(), made.id)
    except RecordError:
        return
    assert isinstance(getattr(found, name), bytes | tuple)  # any bytes are a sender, and none of a list is a list


def test_deep_nesting_is_refused() -> None:
    """It costs no stack."""
    with pytest.raises(RecordError):
        parse(b"[" * 1_000_000, new_id(AT))


def test_only_a_plain_file_of_the_owner_is_read(folder: Records, tmp_path: Path) -> None:
    """A link, a second name, a pipe, a folder, a huge file and a file of somebody else are refused."""
    made = record()
    folder.write(made)
    new = tmp_path / "new"
    assert folder.read(made.id) == made
    with pytest.raises(RecordError, match="user"):
        folder.read(made.id, owner=os.getuid() + 1)
    names = [new_id(AT + number) for number in range(5)]
    (new / names[0]).symlink_to(new / made.id)
    os.mkfifo(new / names[1])
    (new / names[2]).mkdir()
    with (new / names[3]).open("wb") as huge:
        huge.truncate(records.MOST_BYTES + 1)
    (new / names[4]).hardlink_to(new / names[3])
    for name in names:
        with pytest.raises((RecordError, IsADirectoryError)):
            folder.read(name)


@pytest.mark.parametrize(
    "name",
    ["", "..", "../new/x", "1a215ab8964d58f9850", "1A215AB8964D58F98500", "1a215ab8964d58f98500\n", "/etc/passwd"],
)
def test_no_other_name_is_an_id(name: str) -> None:
    """An id never leads anywhere else."""
    assert not is_id(name)


def test_ids_sort_by_time() -> None:
    """The later one is the greater one, and two of one instant differ."""
    assert new_id(AT) < new_id(AT + 0.001) < new_id(AT + 1e6)
    assert len({new_id(AT) for _ in range(10_000)}) == 10_000


def test_what_cannot_be_written_leaves_nothing(
    folder: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing fsync is an error for the one who answers the MTA, and no file is left."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input"):
        folder.write(record())
    assert [list((tmp_path / each).iterdir()) for each in records.FOLDERS] == [[], [], []]


def test_it_is_synced_before_it_has_its_name(folder: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """First the file, then, under its name, the folder."""
    seen = []
    sync = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), folder.new()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    made = record()
    folder.write(made)
    assert seen == [(str(tmp_path / "tmp" / made.id), []), (str(tmp_path / "new"), [made.id])]


def test_a_large_header_is_cut_at_a_field() -> None:
    """Whole fields are kept, as many as there is room for."""
    header = [(b"X", b"y" * 1000)] * 1000
    kept = bounded(header)
    assert 0 < sum(len(name) + len(value) for name, value in kept) <= records.MOST_HEADER
    assert kept == tuple(header[: len(kept)])


def test_what_dead_writers_left_is_removed_when_it_is_old(folder: Records, tmp_path: Path) -> None:
    """Files that are being written now are left alone."""
    old, new = tmp_path / "tmp" / "old", tmp_path / "tmp" / "new"
    for each in (old, new):
        each.touch()
    os.utime(old, (AT, AT))
    folder.tidy()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_finding_keeps_its_bytes() -> None:
    """The name of a field may be any bytes."""
    made = record(findings=(RecordedFinding("x", b"\xff\x00", -1, 0, 0, "y", "tag"),))
    assert parse(json.dumps(records._plain(made)).encode(), made.id).findings == made.findings
