"""No router: for a host that holds mail and runs the sidecar for its quarantine only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from forebay.api.router import Adapter

if TYPE_CHECKING:
    from forebay.api.router import Holding, Process


class NoRouter(Adapter):
    """Knows no messages, and no workers that hold any."""

    needs_spool: ClassVar[bool] = False

    def directories(self) -> tuple[str, ...]:
        return ()

    def is_message(self, path: str) -> bool:
        return False

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        return []
