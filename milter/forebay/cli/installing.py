"""The files that `forebay install` writes: what is in them, and how one that somebody edited is told from one of ours.

The first line of each file holds a digest of the lines below it. Where the two do not fit together, somebody has
changed the file: it is never overwritten. So no list of what was installed has to be kept anywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from forebay.cli import dropin, example, manual
from forebay.errors import FileError, RightsError

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["missing", "current", "outdated", "edited"]

PLACES: Final = {
    "forebay-milter.service.in": "etc/systemd/system/forebay-milter.service",
    "forebay-sidecar.service.in": "etc/systemd/system/forebay-sidecar.service",
    "forebay-digest.service.in": "etc/systemd/system/forebay-digest.service",
    "forebay-digest.timer.in": "etc/systemd/system/forebay-digest.timer",
    "sysusers.conf.in": "etc/sysusers.d/forebay.conf",
    "tmpfiles.conf.in": "etc/tmpfiles.d/forebay.conf",
}
"""Templates of the package, and where each goes below the root."""

CONFIG: Final = "etc/forebay/forebay.toml"
SHARE: Final = "usr/local/share"
"""Above the manual pages."""
KEPT: Final = ("var/lib/forebay", "var/lib/forebay-sidecar")
"""What a removal leaves: what was quarantined, and what is known of it."""

_ROFF: Final = '.\\"'
_NEVER: Final = b"\0"
"""What no file of ours has in it."""
_POSTFIX: Final = "@postfix@"
_FIRST: Final = "Written by forebay install, which never overwrites it once it was edited. {digest}"


@dataclass(frozen=True, slots=True)
class Installed:
    """One file: where it belongs, and the bytes that it is to have."""

    path: Path
    content: bytes
    comment: str = "#"
    """What a line begins with that nobody reads."""

    @property
    def is_page(self) -> bool:
        """Whether it is a manual page, which is long and of no use before it is formatted."""
        return self.comment != "#"

    @property
    def beside(self) -> Path:
        """Where the new version goes if the file was edited."""
        return self.path.with_name(f"{self.path.name}.new")

    def state(self) -> State:
        """What is there now. A link or a directory in its place is somebody's edit. Raises RightsError, FileError."""
        try:
            if self.path.is_symlink():
                return "edited"
            found = self.path.read_bytes()
        except FileNotFoundError:
            return "missing"
        except (IsADirectoryError, NotADirectoryError):
            return "edited"
        except OSError as error:
            raise _failure(self.path, error) from None
        if found == self.content:
            return "current"
        return "outdated" if found == _signed(found.partition(b"\n")[2], self.comment) else "edited"

    def write(self, path: Path) -> None:
        """Put the content at `path`, whole or not at all. Raises RightsError, FileError."""
        try:
            _make_readable(path.parent)
            file, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                with os.fdopen(file, "wb") as out:
                    out.write(self.content)
                    os.fchmod(out.fileno(), 0o644)
                    out.flush()
                    os.fsync(out.fileno())
                Path(name).replace(path)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise _failure(path, error) from None

    def remove(self, path: Path) -> None:
        """Take a file away. Raises RightsError, FileError."""
        try:
            path.unlink()
        except OSError as error:
            raise _failure(path, error) from None


def everything(root: Path, program: str, guard: Iterable[str] = ()) -> list[Installed]:
    """All files for a host whose file system begins at `root`; `program` is the command there.

    `guard` are units that get a drop-in, besides those that have one. Raises UsageError for one that cannot have it.
    """
    has_postfix = _has_group(root, "postfix")
    templates = files("forebay") / "install"
    found = []
    for name, place in PLACES.items():
        text = (templates / name).read_text("utf-8").replace("@program@", program)
        found.append(_installed(root / place, _for_postfix(text, is_there=has_postfix)))
    template = (templates / "guard.conf.in").read_text("utf-8")
    found += [
        _installed(root / dropin.place(unit), dropin.text(template, root, unit, program))
        for unit in sorted({*guard, *dropin.guarded(root)})
    ]
    found.append(_installed(root / CONFIG, example.example()))
    for name, place in manual.PAGES.items():
        found.append(_installed(root / SHARE / place, manual.page(name), _ROFF))
    return found


def installed(root: Path) -> list[Installed]:
    """What a removal looks at: all that may have been written, and is ours by its first line."""
    places = [*PLACES.values(), *map(dropin.place, dropin.guarded(root)), CONFIG]
    pages = [f"{SHARE}/{each}" for each in manual.PAGES.values()]
    found = [
        *(Installed(root / each, _NEVER) for each in places),
        *(Installed(root / each, _NEVER, _ROFF) for each in pages),
    ]
    return [*found, *(Installed(each.beside, _NEVER, each.comment) for each in found)]


def _installed(path: Path, text: str, comment: str = "#") -> Installed:
    return Installed(path, _signed(text.encode("utf-8", "surrogateescape"), comment), comment)


def _make_readable(folder: Path) -> None:
    """Make a directory and those above it, for all to read whatever the umask: the service is not root."""
    if folder.is_dir():
        return
    _make_readable(folder.parent)
    folder.mkdir()
    folder.chmod(0o755)


def _for_postfix(text: str, *, is_there: bool) -> str:
    """Without the lines that are for Postfix, and the comments above them, where there is none."""
    if is_there:
        return text.replace(_POSTFIX, "")
    return re.sub(rf"^(?:#.*\n)*{_POSTFIX}.*\n", "", text, flags=re.MULTILINE)


def _signed(rest: bytes, comment: str) -> bytes:
    digest = hashlib.sha256(rest).hexdigest()[:16]
    return f"{comment} {_FIRST.format(digest=digest)}\n".encode() + rest


def _has_group(root: Path, name: str) -> bool:
    """Whether the host below `root` has a group, by its own file."""
    try:
        return any(
            line.startswith(f"{name}:") for line in (root / "etc/group").read_text("utf-8", "replace").split("\n")
        )
    except OSError:
        return False


def _failure(path: Path, error: OSError) -> RightsError | FileError:
    if isinstance(error, PermissionError):
        return RightsError(f"{path}: {error.strerror}; run this as root, or see what it would do: --dry-run")
    return FileError(f"{path}: {error.strerror}")
