"""The drop-in that has a router's unit started by the launcher, made from what the unit's own files say now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from forebay.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME: Final = "zz-forebay.conf"
"""Read after an administrator's own drop-ins, whose ExecStart then is the one that it takes up."""
FOLDER: Final = "etc/systemd/system"
_FOLDERS: Final = (
    FOLDER, "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system",
    "run/systemd/generator.late",
)  # fmt: skip
"""Where units lie below the root (systemd.unit(5)); of old scripts in /etc/init.d they are generated."""
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.service")
_PREFIX: Final = re.compile(r"[-:+!]*")


def place(unit: str) -> str:
    """Where the drop-in of a unit goes. Raises UsageError for what is no service's name."""
    if not _UNIT.fullmatch(unit):
        raise UsageError(f"{unit}: give the name of a service, such as postfix@-.service")
    return f"{FOLDER}/{unit}.d/{NAME}"


def guarded(root: Path) -> list[str]:
    """The units that have a drop-in of ours."""
    return sorted(each.parent.name.removesuffix(".d") for each in (root / FOLDER).glob(f"*.service.d/{NAME}"))


def text(template: str, root: Path, unit: str, program: str) -> str:
    """What the drop-in says. Raises UsageError where the unit is not there, or is started in a way we cannot wrap."""
    starts = _starts(_sources(root, unit))
    if not starts:
        raise UsageError(f"{unit}: its files below {root / FOLDER} and beside say nothing of ExecStart")
    wrapped = []
    for each in starts:
        found = _PREFIX.match(each)
        prefix = found[0] if found else ""
        command = each.removeprefix(prefix).lstrip()
        if command.startswith("@"):
            raise UsageError(f"{unit}: ExecStart={each}: a program that is given another name cannot be wrapped")
        wrapped.append(f"ExecStart={prefix}{program} sidecar --launch -- {command}")
    given = {"@unit@": unit, "@cgroup@": cgroup(unit), "@start@": "\n".join(wrapped)}
    for name, value in given.items():
        template = template.replace(name, value)
    return template


def cgroup(unit: str) -> str:
    """Where systemd puts a unit's control group; instances share a slice (systemd.slice(5))."""
    name, at, _ = unit.partition("@")
    if not at:
        return f"/system.slice/{unit}"
    return f"/system.slice/system-{name.replace('-', chr(92) + 'x2d')}.slice/{unit}"


def _sources(root: Path, unit: str) -> list[Path]:
    """The files that make up a unit, in systemd's order, without ours."""
    names = [unit]
    if "@" in unit:
        names.append(unit.partition("@")[0] + "@.service")
    main = next((path for name in names for folder in _FOLDERS if (path := root / folder / name).is_file()), None)
    if main is None:
        raise UsageError(f"{unit}: there is no such unit below {root}")
    added: dict[str, Path] = {}
    for name in reversed(names):
        for folder in reversed(_FOLDERS):
            added |= {each.name: each for each in (root / folder / f"{name}.d").glob("*.conf") if each.name != NAME}
    return [main, *(added[each] for each in sorted(added))]


def _starts(files: Iterable[Path]) -> list[str]:
    """The values of ExecStart in [Service]; an empty one takes back those before it."""
    found: list[str] = []
    for file in files:
        section = ""
        joined = re.sub(r"\\\n", " ", file.read_text("utf-8", "surrogateescape"))
        for line in map(str.strip, joined.split("\n")):
            if line.startswith("["):
                section = line
            name, equals, value = (each.strip() for each in line.partition("="))
            if section == "[Service]" and equals and name == "ExecStart":
                found = [*found, value] if value else []
    return found
