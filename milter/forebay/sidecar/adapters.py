"""Finding the adapter that the configuration names: an entry point of the group `forebay.routers`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from forebay.api.router import Adapter, Site
from forebay.config_mistakes import nearest
from forebay.config_router import mistakes
from forebay.errors import Mistake

if TYPE_CHECKING:
    from forebay.config_router import Router

GROUP: Final = "forebay.routers"


def make_adapter(router: Router, command: tuple[str, ...] = ()) -> tuple[Adapter | None, list[Mistake]]:
    """The adapter of this section, and every mistake in the section. `command` is that of the command line, if any."""
    found = mistakes(router)
    points = {point.name: point for point in entry_points(group=GROUP)}
    point = points.get(router.adapter)
    if point is None:
        known = f"write one of {', '.join(sorted(points))}{nearest(router.adapter, points)}"
        return None, [*found, Mistake("router.adapter", f"{known} (got {router.adapter!r})")]
    try:
        adapter = point.load()(Site(router.spool, router.claim, router.workers, command or router.command))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its mistake
        return None, [*found, Mistake("router.adapter", f"{point.value} cannot be used: {error}")]
    if not isinstance(adapter, Adapter):
        return None, [*found, Mistake("router.adapter", f"{point.value} is no router adapter")]
    return adapter, found + [Mistake(f"router.{name}", text) for name, text in adapter.mistakes()]
