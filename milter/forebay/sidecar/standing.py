"""Whether what the journal says is told to the store: noted by the clerk, for /healthz and `forebay status`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from forebay import files
from forebay.api.process import is_alive
from forebay.api.process import state as state_of
from forebay.logs import printable

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "clerk.json"
KEPT: Final = "kept"
STARTING: Final = "not kept yet: the clerk begins"
_MOST_BYTES: Final = 4096


class Standing:
    """What was noted last; the file is written when it changes, and nothing is raised. `folder` is the sidecar's own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._noted = ""

    def note(self, error: str = "") -> None:
        """The store is kept; or it is not, and why."""
        said = f"not kept: {printable(error, 300)}" if error else KEPT
        now = state_of(os.getpid())
        if said == self._noted or now is None:
            return
        text = json.dumps({"pid": os.getpid(), "started": now.started, "store": said})
        with suppress(OSError):
            files.replace(self._path, text.encode("ascii") + b"\n")
            self._noted = said


def read(folder: Path) -> str:
    """What the clerk that lives has noted: `KEPT`, or why the store is not; `STARTING` before it has noted anything."""
    try:
        descriptor = files.open_regular(folder / NAME)
        with os.fdopen(descriptor, "rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
        if is_alive(int(found["pid"]), int(found["started"])):
            return str(found["store"])
    except (OSError, ValueError, TypeError, LookupError):
        pass
    return STARTING
