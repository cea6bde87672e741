"""A mail to the postmaster, handed to sendmail(1): for reports that a timer writes."""

# ruff: noqa: S603 - runs sendmail(1), by its path, with arguments of our own

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from forebay.errors import UnavailableError

_PATH: Final = "/usr/sbin:/usr/lib:/usr/bin:/usr/local/sbin"
"""Where sendmail(1) is, by the Filesystem Hierarchy Standard and by old custom."""


def mail(address: str, subject: str, text: str) -> None:
    """Hand a text in ASCII to sendmail(1), which adds From and Date. Raises UnavailableError with what it said."""
    program = shutil.which("sendmail", path=_PATH)
    if program is None:
        raise UnavailableError(f"sendmail is not in {_PATH}: nothing was sent")
    letter = f"To: {address}\nSubject: {subject}\nAuto-Submitted: auto-generated\n\n{text}"
    done = subprocess.run(
        (program, "-i", "--", address),
        input=letter.encode("ascii", "backslashreplace"),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "backslashreplace").strip()
        raise UnavailableError(f"{program} failed (exit status {done.returncode}): {said}")
