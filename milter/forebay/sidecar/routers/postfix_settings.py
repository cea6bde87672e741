"""What can be wrong with the section [router] for a Postfix, as far as its own files tell."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from forebay.sidecar.routers.postfix_workers import GUARDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.api.router import Site

DEFAULT: Final = "/etc/postfix"
_QUEUES: Final = ("maildrop", "incoming", "active", "deferred", "hold")


def mistakes(site: Site) -> list[tuple[str, str]]:
    """Each with its setting, and what to write instead. Nothing here raises."""
    return [*_places(site), *_services(site)]


def _places(site: Site) -> Iterator[tuple[str, str]]:
    root = site.spool[0].rstrip("/")
    if len(site.spool) > 1:
        yield "spool", "write one directory, Postfix's queue_directory"
    elif os.path.isdir(root):
        missing = [name for name in _QUEUES if not os.path.isdir(f"{root}/{name}")]
        if missing and os.access(root, os.X_OK):
            yield "spool", f"{root} is no queue_directory of Postfix: there is no directory {missing[0]} in it"
    if site.input:
        yield "input", "leave it out: mail gets into Postfix's queue through Postfix only"
    if os.path.dirname(site.aside.rstrip("/")) != root or os.path.basename(site.aside) in _QUEUES:
        yield "aside", f"write a directory of its own in {root}, where files can be renamed to"
    if site.config and os.path.isdir(site.config) and not os.path.exists(f"{site.config}/main.cf"):
        yield "config", f"{site.config} is no configuration of Postfix: there is no main.cf in it"
    elif site.config and not os.path.isdir(site.config):
        yield "config", f"no such directory: {site.config}"


def _services(site: Site) -> Iterator[tuple[str, str]]:
    """Names that neither master.cf has nor a program of Postfix: nothing would ever be limited by them."""
    file = f"{site.config or DEFAULT}/master.cf"
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            named = [line.split()[0] for line in lines if line.strip() and line[0] not in "# \t"]
    except OSError:
        return
    known = {*named, *GUARDED}
    for name in site.services:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"services.{name}", f"{file} has no service of this name{hint}"
