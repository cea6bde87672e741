"""A disk that is really full, a spool that really cannot be written, files larger than any limit: nothing is lost."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidecar.sidecar_kit import Site

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
LARGE = 500 if LONG else 160
"""Mebibytes: more than a worker's limit."""


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A mount as long as the block lasts; who uses it then goes on with it."""
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def test_a_full_disk_stops_no_mail(sites: Callable[..., Site], site_root: Path, tmp_path: Path) -> None:
    """Journal, store and spool are on a disk that is full: mail goes on, loudly; the strikes are stored afterwards."""
    with mounted(site_root, "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs"):
        site = sites("open")
        site.delivered_file, site.log_file = tmp_path / "delivered", tmp_path / "log"
        site.delivered_file.touch()
        site.start()
        hidden = [site.put(f".{name}", do) for name, do in (("killer", "crash"), ("good", ""), ("later", ""))]
        fill(site.root / "filler")
        hidden[0].rename(site.queue / "killer")
        site.wait(lambda: "could not be stored" in site.log())
        hidden[1].rename(site.queue / "good")
        site.wait(lambda: site.delivered() == [".good"])
        assert (site.queue / "killer").is_file()
        (site.root / "filler").unlink()
        site.wait(lambda: site.aside_names() == [".killer"])
        hidden[2].rename(site.queue / "later")
        site.wait(lambda: site.delivered() == [".good", ".later"])
        assert not site.waiting()


def test_a_read_only_spool_loses_nothing(sites: Callable[..., Site]) -> None:
    """What cannot be moved stays where it is, loudly, and is moved as soon as that is possible; then mail goes on."""
    site = sites("single", 1)
    killer = site.put("killer", "crash")
    spool = str(site.office)
    with mounted(site.office, "--bind", spool):
        subprocess.run(["mount", "-o", "remount,bind,ro", spool], check=True)
        site.start()
        site.wait(lambda: "cannot set aside" in site.log())
        assert killer.is_file()
        assert [each.state for each in site.entries()] == ["intended"]
        subprocess.run(["mount", "-o", "remount,bind,rw", spool], check=True)
        site.wait(lambda: site.aside_names() == ["killer"])
        (site.queue / ".good").write_text("Message-ID: <good@example.org>\n\n")
        (site.queue / ".good").rename(site.queue / "good")
        site.wait(lambda: site.delivered() == ["good"])


def test_a_large_message_and_a_large_mailbox_are_no_strike(sites: Callable[..., Site]) -> None:
    """A message larger than the limit is read through a leaf, and one is appended to a large mailbox: page cache only."""
    site = sites("open", 2)
    mailbox = site.root / "mailbox"
    mailbox.touch()
    os.truncate(mailbox, LARGE << 20)
    large = site.queue / "large"
    with (site.queue / ".large").open("wb") as file:
        file.write(b"Message-ID: <large@example.org>\nX-Do: stream %s\n\n" % os.fsencode(large))
        for _ in range(LARGE):
            file.write(b"x" * (1 << 20))
    site.start()
    (site.queue / ".large").rename(large)
    site.put("appends", f"append {mailbox}")
    site.wait(lambda: sorted(site.delivered()) == ["appends", "large"])
    assert site.entries() == []
    assert " ended: " not in site.log()
    assert mailbox.stat().st_size == (LARGE + 1) << 20
