"""Finding messages: directories, Maildirs, mailboxes, streams; cut where they must be, and bounded in memory."""

from __future__ import annotations

import io
import os
import sys
import time
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.cli import messages
from forebay.cli.messages import Message, files, read
from forebay.errors import DataError, ForebayError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Forebay

HEADER = b"From: a@example.org\nSubject: x\n"
SEPARATOR = b"From a@example.org Thu Aug 22 12:36:23 2002\n"


def below(path: Path) -> list[str]:
    """What is found at a path, relative to it."""
    failures: list[ForebayError] = []
    found = [os.path.relpath(each, path) for each in files(str(path), failures.append)]
    assert failures == []
    return found


def put(path: Path, content: bytes = HEADER + b"\n") -> Path:
    """A file with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stream(monkeypatch: pytest.MonkeyPatch, data: io.IOBase | bytes) -> list[Message]:
    """The messages of standard input."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=source))
    return list(read("-"))


def boxed(content: bytes, path: Path) -> list[tuple[bytes, bytes | None]]:
    """The messages of an mbox, each with its sender."""
    return [(each.raw, each.sender) for each in read(str(put(path, content)))]


def test_a_directory_is_walked_in_order(tmp_path: Path) -> None:
    """Below it too, by name."""
    for name in ("b", "a/2", "a/1", "c/d/e"):
        put(tmp_path / name)
    assert below(tmp_path) == ["b", "a/1", "a/2", "c/d/e"]


def test_of_a_maildir_only_what_is_delivered_counts(tmp_path: Path) -> None:
    """Not what is being written, nor the server's files; its subfolders are Maildirs too."""
    for name in ("cur/1:2,S", "new/2", "tmp/3", "dovecot.index", ".Sent/cur/4", ".Sent/tmp/5", ".Sent/new/6"):
        put(tmp_path / name)
    assert below(tmp_path) == [".Sent/cur/4", ".Sent/new/6", "cur/1:2,S", "new/2"]


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not passed over in silence."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    failures: list[ForebayError] = []
    assert list(files(str(tmp_path), failures.append)) == []
    assert [str(each) for each in failures] == [f"{tmp_path}: Permission denied"]


def test_special_files_are_passed_over_unless_named(tmp_path: Path) -> None:
    """A pipe in a directory would be waited for; one that is named is read."""
    os.mkfifo(tmp_path / "pipe")
    assert below(tmp_path) == []
    assert list(files(str(tmp_path / "pipe"), print)) == [str(tmp_path / "pipe")]


def test_a_missing_file_and_a_directory_in_its_place() -> None:
    """The error has the place."""
    with pytest.raises(InputError, match="/nonexistent/x: No such file or directory"):
        list(read("/nonexistent/x"))


def test_an_mbox_has_many_messages(forebay: Forebay, tmp_path: Path) -> None:
    """Each has its number and the sender of its line."""
    path = put(tmp_path / "box", SEPARATOR + HEADER + b"\nBody\n\n" + SEPARATOR + b"To: <x\n\nBody\n")
    found = forebay("check", "--json", path).objects
    assert [(each["path"], each["index"], each["action"]) for each in found] == [
        (str(path), 0, "tag"),
        (str(path), 1, "reject"),
    ]
    assert f"{path}, message 2: reject\n" in forebay("check", path).out


@pytest.mark.parametrize(
    ("line", "sender"),
    [
        (SEPARATOR, b"<a@example.org>"),
        (b"From MAILER-DAEMON Thu Aug 22 12:36:23 2002\n", b"<>"),
        (b"From - Thu Aug 22 12:36:23 2002\n", None),
        (b"From <a@example.org> Thu Aug 22 12:36 2002\r\n", b"<a@example.org>"),
    ],
)
def test_the_line_of_an_mbox_names_the_sender(tmp_path: Path, line: bytes, sender: bytes | None) -> None:
    """Each program writes it in its own way."""
    assert boxed(line + HEADER + b"\n", tmp_path / "box") == [(HEADER + b"\n", sender)]


def test_prose_does_not_cut_an_mbox(tmp_path: Path) -> None:
    """Only a line with a time, after an empty line, begins a message."""
    body = b"\n\nFrom now on I write 12:30\n" + SEPARATOR + b"\n>" + SEPARATOR
    (only,) = boxed(SEPARATOR + HEADER + b"\nHi" + body, tmp_path / "box")
    assert only[0] == HEADER + b"\nHi" + body


def test_of_a_message_only_the_head_is_kept(tmp_path: Path) -> None:
    """The header whatever its size, and as much of the body as a milter is shown first."""
    header = b"To: " + b"x" * 3_000_000 + b"\n\n"
    path = put(tmp_path / "big", header + b"b" * 3_000_000)
    (message,) = read(str(path))
    assert message.raw == header + b"b" * messages.BODY_BYTES
    (message,) = read(str(put(path, SEPARATOR + header + b"b" * 3_000_000)))
    assert message.raw == header + b"b" * messages.BODY_BYTES


def test_a_pipe_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that arrives byte by byte is the same message."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size, 1) if size else size)

    raw = HEADER + b"\nbody\n"
    assert [each.raw for each in stream(monkeypatch, Slow(raw))] == [raw]
    assert [each.raw for each in stream(monkeypatch, Slow(SEPARATOR + raw + b"\n" + SEPARATOR + raw))] == [
        raw + b"\n",
        raw,
    ]


@given(
    bodies=st.lists(st.binary(max_size=60).filter(lambda each: b"From " not in each), min_size=1, max_size=6),
    chunk=st.integers(len(SEPARATOR), 3 * len(SEPARATOR)),
)
def test_an_mbox_is_cut_alike_wherever_its_chunks_end(bodies: list[bytes], chunk: int) -> None:
    """What is read at a time makes no difference, as long as a line fits."""
    wanted = [HEADER + b"\n" + each + b"\n\n" for each in bodies]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "CHUNK", chunk)
        patch.setattr(messages, "FIRST_READ", len(SEPARATOR) + chunk)
        found = stream(patch, b"".join(SEPARATOR + each for each in wanted))
    assert [(each.index, each.raw) for each in found] == list(enumerate(wanted))


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_none(data: bytes) -> None:
    """Nothing else comes of them than messages or one error."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            found = stream(patch, data)
        except DataError:
            return
    assert found
    assert all(each.raw in data for each in found)


class Endless(io.RawIOBase):
    """A stream of so many bytes: some beginning, then the same over and over."""

    def __init__(self, beginning: bytes, again: bytes, size: int) -> None:
        self._beginning, self._again, self._left = beginning, again, size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left)
        data = (self._beginning + self._again * (size // len(self._again) + 1))[:size]
        self._beginning = b""
        self._left -= size
        return data


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (SEPARATOR + HEADER + b"\n", b"text\n" * 20_000 + b"\n" + SEPARATOR + HEADER + b"\n"),
        (SEPARATOR + HEADER + b"\n", b"x" * 100_000),
        (HEADER + b"\n", b"x" * 100_000),
    ],
    ids=["an mbox", "an mbox of one line", "a body"],
)
def test_memory_is_bounded_however_large_the_input(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes, again: bytes
) -> None:
    """128 MB pass through in less than 12."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Endless(beginning, again, 128 << 20)))
    tracemalloc.start()
    try:
        count = sum(len(each.raw) < 1 << 20 for each in read("-"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count >= 1
    assert peak < 12 << 20


def test_a_header_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no MTA would take is not kept whole."""
    monkeypatch.setattr(messages, "HEADER_BYTES", 2 << 20)
    (message,) = stream(monkeypatch, Endless(HEADER, b"X: y\n", 64 << 20))
    assert len(message.raw) == 2 << 20
    (message,) = stream(monkeypatch, Endless(SEPARATOR + HEADER, b"X: y\n", 64 << 20))
    assert len(message.raw) == 2 << 20


def test_twice_the_mbox_takes_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates for separators that are none cost their size and no more."""

    def cost(times: int) -> float:
        data = SEPARATOR + HEADER + b"\n" + b"\n\nFrom nobody\nFrom " * times
        spent = []
        for _ in range(5):
            started = time.process_time()
            stream(monkeypatch, data)
            spent.append(time.process_time() - started)
        return min(spent)

    assert cost(80_000) < 3.5 * cost(40_000)
