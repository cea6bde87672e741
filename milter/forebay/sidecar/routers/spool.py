"""Any router that takes files from directories.

`claim` says how a worker's claim is seen: "open" (the file that it has open), or how it renames the file, such as
"{name}-{pid}" or "{pid}.{name}". Finished is a message whose file is gone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from forebay.api.router import Adapter, Confidence, Holding, Process, Site

if TYPE_CHECKING:
    import os

OPEN: Final = "open"


class Spool(Adapter):
    """Directories of files."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._pattern = None if site.claim in {"", OPEN} else _compile(site.claim)

    def mistakes(self) -> list[tuple[str, str]]:
        found = super().mistakes()
        claim = self.site.claim
        if claim not in {"", OPEN} and (claim.count("{name}") != 1 or claim.count("{pid}") != 1):
            found.append(("claim", 'write "open", or a name with {name} and {pid} such as "{name}-{pid}"'))
        return found

    def names_claims(self) -> bool:
        return self._pattern is not None

    def claimant(self, path: str) -> int:
        found = self._pattern.fullmatch(path.rpartition("/")[2]) if self._pattern else None
        return int(found["pid"]) if found else 0

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        if not self._pattern:
            return super().holdings(worker, at_rest)
        named = [path for path in self.paths() if self.claimant(path) == worker.pid]
        return [Holding(each, Confidence.CERTAIN, "name") for each in map(self.message, named) if each]

    def place(self, original: str, status: os.stat_result) -> str:
        folder, _, name = original.rpartition("/")
        found = self._pattern.fullmatch(name) if self._pattern else None
        return f"{folder}/{found['name']}" if found else original


def _compile(claim: str) -> re.Pattern[str]:
    escaped = re.escape(claim).replace(r"\{name\}", "(?P<name>.+)").replace(r"\{pid\}", r"(?P<pid>\d{1,10})")
    return re.compile(escaped)
