"""Finding the validators that are installed: entry points, and single files in one directory.

Nothing is skipped in silence: a plugin that cannot be imported, was written for another interface or brings an id
that is taken is a mistake that the operator reads at start.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from forebay.api import API, Plugin, Validator
from forebay.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

GROUP = "forebay.plugins"
OURS = "forebay"


@dataclass(frozen=True, slots=True)
class Known:
    """A validator that is installed, and where it comes from: `origin` is a distribution or a file."""

    cls: type[Validator]
    plugin: str
    origin: str
    builtin: bool

    @property
    def id(self) -> str:
        """The id of the validator."""
        return self.cls.spec.id


@dataclass(frozen=True, slots=True)
class Source:
    """Something that may hold a plugin: its name, where it comes from, and how to get at it."""

    name: str
    origin: str
    builtin: bool
    load: Callable[[], object]


def discover(directory: str = "", user: str = "") -> tuple[tuple[Known, ...], list[Mistake]]:
    """Every validator, by id in alphabetical order, and what is wrong with the plugins.

    `directory` holds single-file plugins; it and they must belong to root or to `user`, the service's.
    """
    mistakes: list[Mistake] = []
    known: dict[str, Known] = {}
    for source in (*_entry_points(), *_files(directory, _owners(user), mistakes)):
        plugin = _plugin(source, mistakes)
        for cls in plugin.validators if plugin else ():
            _add(Known(cls, source.name, source.origin, source.builtin), known, mistakes)
    return tuple(known[each] for each in sorted(known)), mistakes


def _entry_points() -> Iterator[Source]:
    # The built-in ones first, so that an id taken twice is the other one's mistake.
    found = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(found, key=lambda point: (not _is_ours(point), point.name, point.value)):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        yield Source(point.name, origin, _is_ours(point), point.load)


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == OURS


def _owners(user: str) -> frozenset[int]:
    """Whose code is run: root's, the service user's, and that of whoever runs this."""
    owners = {0, os.geteuid()}
    with contextlib.suppress(KeyError):  # a user that does not exist owns nothing
        owners.add(pwd.getpwnam(user).pw_uid)
    return frozenset(owners)


def _files(directory: str, owners: frozenset[int], mistakes: list[Mistake]) -> Iterator[Source]:
    if not directory:
        return
    place = "plugins.directory"
    try:
        refused = _distrust(Path(directory).stat(), owners)
        paths = sorted(Path(directory).glob("*.py"))
    except OSError as error:
        mistakes.append(Mistake(place, f"{directory}: {error.strerror}"))
        return
    if refused:
        mistakes.append(Mistake(place, f"{directory}: {refused}"))
        return
    for path in paths:
        try:
            source = _read(path, owners)
        except (OSError, ValueError) as error:
            mistakes.append(Mistake(place, f"{path}: {getattr(error, 'strerror', None) or error}"))
        else:
            yield Source(path.stem, str(path), False, lambda path=path, source=source: _execute(path, source))  # type: ignore[misc] # mypy cannot infer a lambda with defaults


def _read(path: Path, owners: frozenset[int]) -> bytes:
    """The source of a plugin; what is checked is the file that is read, not a name that may change its meaning."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        refused = _distrust(status, owners)
        if refused:
            raise ValueError(refused)
        return file.read()


def _distrust(status: os.stat_result, owners: frozenset[int]) -> str:
    """Why code from here is not run, or nothing."""
    if status.st_uid not in owners:
        return f"belongs to user {status.st_uid}; code is only loaded if it belongs to root or to the service's user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "is writable by others than its owner; run chmod go-w"
    return ""


def _execute(path: Path, source: bytes) -> object:
    module = ModuleType(f"forebay_local_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up there
    exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - that is what a plugin file is for
    return getattr(module, "plugin", None)


def _plugin(source: Source, mistakes: list[Mistake]) -> Plugin | None:
    who = f"plugin {source.name} ({source.origin})"
    try:
        plugin = source.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises at import is its mistake
        mistakes.append(Mistake("plugins", f"{who} cannot be imported: {type(error).__name__}: {_one_line(error)}"))
        return None
    if not isinstance(plugin, Plugin):
        mistakes.append(Mistake("plugins", f"{who} has no Plugin object named `plugin`"))
        return None
    if plugin.api != API:
        mistakes.append(
            Mistake("plugins", f"{who} was written for interface {plugin.api}; this forebay has {API}: update either")
        )
        return None
    return plugin


def _add(new: Known, known: dict[str, Known], mistakes: list[Mistake]) -> None:
    who = f"plugin {new.plugin} ({new.origin})"
    cls = new.cls
    if not (isinstance(cls, type) and issubclass(cls, Validator) and "spec" in vars(cls)):
        mistakes.append(Mistake("plugins", f"{who} lists something that is no class under @validator: {cls!r}"))
    elif new.id in known:
        mistakes.append(Mistake("plugins", f"{who} brings {new.id}, which {known[new.id].origin} has already"))
    else:
        known[new.id] = new


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
