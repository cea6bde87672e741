"""A program that is started once for each message: the sidecar itself takes files from directories and starts it.

`command` has {} where the path of the file goes. Status 0 and the file gone: done. Status 75: later again. The file
that it was started for is what a process holds, and that is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from forebay.api.router import Adapter

if TYPE_CHECKING:
    from forebay.api.router import Holding, Process

PLACE: Final = "{}"


class Command(Adapter):
    """One process a message."""

    launches: ClassVar[bool] = True

    def mistakes(self) -> list[tuple[str, str]]:
        found = super().mistakes()
        if not any(PLACE in word for word in self.site.command):
            found.append(("command", f"write the program with {PLACE} where the path of the message goes"))
        return found

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        return []
