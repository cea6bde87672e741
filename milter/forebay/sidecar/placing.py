"""What the section [router] says of this machine: directories that are there, and that fit each other.

Whether the router reads what it should is not to be seen from here; everything else that would let the sidecar guard
nothing, or the gate pass nothing on, is told before it starts. What this user may not look at is not told of.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forebay.api.router import Adapter
    from forebay.config_router import Router


def mistakes(router: Router, adapter: Adapter | None) -> list[Mistake]:
    """What is wrong with the places that are named; the adapter may be unknown. Nothing here raises."""
    found = [*_directories("router.spool", router.spool), *_directories("router.input", router.input)]
    if router.adapter == "none" and (router.spool or router.input):
        found.append(Mistake("router.adapter", "write what kind of router has this spool: none has no use for it"))
    elif adapter:
        found += [*_input(router, adapter), *_aside(router, adapter)]
    return [*found, *_command(router)]


def _input(router: Router, adapter: Adapter) -> Iterator[Mistake]:
    if not router.input:
        return
    targets = adapter.directories()
    read = {os.path.realpath(each) for each in targets}
    if any(os.path.realpath(each) in read for each in router.input):
        yield Mistake("router.input", "must not be a directory that the router itself reads")
        return
    if not targets:
        if all(map(os.path.isdir, router.spool)):
            yield Mistake("router.input", "leaves the router no directory of its own to read")
        return
    for source, target in ways(router.input, targets):
        if differ(source, target):
            text = f"{source} must be on the file system of {target}: messages are renamed from one into the other"
            yield Mistake("router.input", text)


def _aside(router: Router, adapter: Adapter) -> Iterator[Mistake]:
    if not router.aside:
        return
    read = {os.path.realpath(each) for each in (*adapter.directories(), *router.input)}
    if os.path.realpath(router.aside) in read:
        yield Mistake("router.aside", "must not be a directory that messages are taken from")
    elif not os.path.isdir(router.aside):  # it is made where it is missing
        yield from _directories("router.aside", [os.path.dirname(router.aside.rstrip("/"))])


def _command(router: Router) -> Iterator[Mistake]:
    """A name without a slash is looked for in the service's own PATH, which is not this user's."""
    program = router.command[0] if router.command else ""
    if program.startswith("/") and _kind(program) == "missing":
        yield Mistake("router.command", f"no such program: {program}")


def _directories(place: str, paths: Iterable[str]) -> Iterator[Mistake]:
    for each in paths:
        kind = _kind(each)
        if kind == "missing":
            yield Mistake(place, f"no such directory: {each}")
        elif kind == "other":
            yield Mistake(place, f"no directory: {each}")


def _kind(path: str) -> str:
    """What is there: directory, other, missing, or nothing where it cannot be looked at."""
    try:
        return "directory" if stat.S_ISDIR(os.stat(path).st_mode) else "other"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return ""


def differ(one: str, other: str) -> bool:
    """Whether two directories are known to be on different file systems."""
    try:
        return os.stat(one).st_dev != os.stat(other).st_dev
    except OSError:
        return False


def ways(inputs: Iterable[str], directories: Iterable[str]) -> list[tuple[str, str]]:
    """Each input directory with the router's at the same place, where there are as many; else all with the first."""
    sources, targets = [str(Path(each)) for each in inputs], list(directories)
    if not targets:
        return []
    return list(zip(sources, targets if len(targets) == len(sources) else [targets[0]] * len(sources), strict=True))
