"""Finding the adapter that the configuration names: an entry point of the group `forebay.routers`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from forebay.api.router import Adapter, Site
from forebay.config_mistakes import nearest
from forebay.config_router import mistakes
from forebay.errors import Mistake
from forebay.sidecar import placing

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.config_router import Router

GROUP: Final = "forebay.routers"


def check_site(config: Config, command: tuple[str, ...] = ()) -> tuple[Adapter | None, list[Mistake]]:
    """The adapter, and every mistake in what the configuration says of the router and of its sidecar."""
    adapter, found = make_adapter(config.router, command)
    if config.sidecar.metrics and config.sidecar.metrics == config.milter.metrics:
        found.append(Mistake("sidecar.metrics", "must not be the address of milter.metrics"))
    return adapter, found


def make_adapter(router: Router, command: tuple[str, ...] = ()) -> tuple[Adapter | None, list[Mistake]]:
    """The adapter of this section, and every mistake in the section. `command` is that of the command line, if any."""
    found = mistakes(router)
    points = {point.name: point for point in entry_points(group=GROUP)}
    point = points.get(router.adapter)
    if point is None:
        known = f"write one of {', '.join(sorted(points))}{nearest(router.adapter, points)}"
        found.append(Mistake("router.adapter", f"{known} (got {router.adapter!r})"))
        return None, found + placing.mistakes(router, None)
    try:
        adapter = point.load()(_site(router, command))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its mistake
        return None, [*found, Mistake("router.adapter", f"{point.value} cannot be used: {error}")]
    if not isinstance(adapter, Adapter):
        return None, [*found, Mistake("router.adapter", f"{point.value} is no router adapter")]
    found += [Mistake(f"router.{name}", text) for name, text in adapter.mistakes()]
    told = {each.place for each in found}  # the adapter knows best what is wrong with a setting of its router
    return adapter, found + [each for each in placing.mistakes(router, adapter) if each.place not in told]


def _site(router: Router, command: tuple[str, ...]) -> Site:
    return Site(
        spool=router.spool, claim=router.claim, workers=router.workers, command=command or router.command,
        input=router.input, aside=router.aside_directory, config=router.config, services=tuple(router.services),
    )  # fmt: skip
