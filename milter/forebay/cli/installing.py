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
from typing import Any, Final, Literal

from forebay import config as configuration
from forebay.cli import toml_text
from forebay.errors import FileError, RightsError

State = Literal["missing", "current", "outdated", "edited"]

PLACES: Final = {
    "forebay-milter.service.in": "etc/systemd/system/forebay-milter.service",
    "sysusers.conf.in": "etc/sysusers.d/forebay.conf",
    "tmpfiles.conf.in": "etc/tmpfiles.d/forebay.conf",
}
"""Templates of the package, and where each goes below the root."""

CONFIG: Final = "etc/forebay/forebay.toml"

_POSTFIX: Final = "@postfix@"
_FIRST: Final = "# Written by forebay install, which never overwrites it once it was edited. {digest}"
_DIGEST: Final = re.compile(r"# Written by forebay install.* ([0-9a-f]{16})\n")
_EXAMPLES: Final = {"milter.hostname": "mx.example.org", "milter.socket_group": "postfix"}
"""Settings whose default depends on the host, as the example has them."""
_LEAD: Final = """\
# The configuration of forebay. Each setting stands here with its default, behind a #.
# What is wrong, all of it: forebay config check. A change takes effect with: systemctl reload forebay-milter
# Begin with preset = "observe": it refuses nothing, and logs what would have been done.
"""
_TAIL: Final = """
# Each validator has options of its own: forebay validators show ID lists them.
#[validators.header-count]
#enabled = true
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """One file: where it belongs, and the bytes that it is to have."""

    path: Path
    content: bytes

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
        return "outdated" if found == _signed(found.partition(b"\n")[2]) else "edited"

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


def everything(root: Path, program: str) -> list[Installed]:
    """All files for a host whose file system begins at `root`; `program` is the command there."""
    has_postfix = _has_group(root, "postfix")
    templates = files("forebay") / "install"
    found = []
    for name, place in PLACES.items():
        text = (templates / name).read_text("utf-8").replace("@program@", program)
        found.append(Installed(root / place, _signed(_for_postfix(text, is_there=has_postfix).encode())))
    found.append(Installed(root / CONFIG, _signed(_example().encode())))
    return found


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


def _signed(rest: bytes) -> bytes:
    digest = hashlib.sha256(rest).hexdigest()[:16]
    return f"{_FIRST.format(digest=digest)}\n".encode() + rest


def _example() -> str:
    """forebay.toml with every setting and its default as comments, section by section."""
    schema = configuration.schema()
    sections: dict[str, list[str]] = {}
    for place, default in configuration.settings(configuration.Config()).items():
        section, _, name = place.rpartition(".")
        value = _EXAMPLES.get(place, f"{default:04o}" if place == "milter.socket_mode" else default)
        lines = sections.setdefault(section, [])
        lines.append(f"# {_meaning(schema, place)}\n#{name} = {toml_text.value(value)}\n")
    written = [f"\n[{section}]\n{''.join(lines)}" for section, lines in sections.items()]
    return "".join([_LEAD, *written, _TAIL])


def _meaning(schema: dict[str, Any], place: str) -> str:
    """The sentence that explains a setting."""
    level = schema
    for part in place.split("."):
        if "$ref" in level:
            level = schema["$defs"][level["$ref"].rpartition("/")[2]]
        level = level["properties"][part]
    return str(level["description"]).replace("\n", " ")


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
