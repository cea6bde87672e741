"""The small router of the show, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from forebay.quickstart import demo_router

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_not_whole_yet_is_not_taken(tmp_path: Path) -> None:
    """Who writes a message gives it its name last: taken before, there is nothing left to rename."""
    spool, delivered = tmp_path / "spool", tmp_path / "delivered"
    for each in (spool, delivered):
        each.mkdir()
    for name in (".half", "whole"):
        (spool / name).write_bytes(b"To: joe@example.com\n\nhi\n")
    with subprocess.Popen(
        (sys.executable, demo_router.__file__, str(spool), str(delivered)), start_new_session=True
    ) as router:
        try:
            until = time.monotonic() + 30
            while not (delivered / "whole").exists() and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.3)
        finally:
            os.killpg(router.pid, signal.SIGKILL)
    assert [each.name for each in delivered.iterdir()] == ["whole"]
    assert [each.name for each in spool.iterdir()] == [".half"]
