"""A Sendmail's queue in which somebody else may write: what lies there need not be a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from forebay.api.router_sendmail import WAITING, SendmailQueue, places_below

if TYPE_CHECKING:
    from pathlib import Path

ID = "xAQ00000000001"
CONTROL = b"V8\nT1764000000\nK0\nN0\nP30000\nS<jane@example.org>\nRPFD:<joe@example.com>\nH??Subject: hello\n.\n"


def test_a_message_is_found(tmp_path: Path) -> None:
    """As Sendmail writes it: a control file and a body."""
    (tmp_path / f"qf{ID}").write_bytes(CONTROL)
    (tmp_path / f"df{ID}").write_bytes(b"Hello\n")
    found = SendmailQueue(places_below([tmp_path])).find(ID, WAITING)
    assert found
    assert found.queue_id == ID


@pytest.mark.parametrize("name", ["qf", "df"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_no_message(tmp_path: Path, name: str, kind: str) -> None:
    """A link is not followed, and a pipe that nobody writes to keeps nobody waiting."""
    (tmp_path / f"qf{ID}").write_bytes(CONTROL)
    (tmp_path / f"df{ID}").write_bytes(b"Hello\n")
    path = tmp_path / f"{name}{ID}"
    path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to("elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert SendmailQueue(places_below([tmp_path])).find(ID, WAITING) is None
