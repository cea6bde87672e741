"""Finding plugins: installed ones and single files, and whose code is not run."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

import pytest

from forebay.api import API
from forebay.judge import discovery
from forebay.judge.discovery import discover
from forebay_validators import plugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forebay.errors import Mistake

GOOD: Final = '''
from __future__ import annotations
from dataclasses import dataclass
from forebay.api import FieldValidator, Plugin, validator

@dataclass(frozen=True)
class Helper:  # dataclasses look their module up while it is executed
    number: int = 1

@validator(id="%s", rfc="")
class Local(FieldValidator):
    """Does nothing."""
    number: int = Helper().number
    def check(self, field):
        return ()

plugin = Plugin(name="local", api=%d, validators=(Local,))
'''


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory that plugins are loaded from; what they put into sys.modules is taken out again."""
    tmp_path.chmod(0o755)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("forebay_local_"):
            del sys.modules[name]


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def local(directory: Path) -> tuple[list[str], list[Mistake]]:
    """The ids that come from the directory, and what is wrong."""
    known, mistakes = discover(str(directory))
    return [each.id for each in known if not each.builtin], mistakes


def mistake(directory: Path) -> str:
    """The only mistake; nothing was loaded."""
    ids, mistakes = local(directory)
    assert ids == []
    (found,) = mistakes
    text = str(found)
    assert "\n" not in text
    return text


def test_all_built_in_validators_are_found() -> None:
    """Each once, in alphabetical order, marked as ours."""
    known, mistakes = discover()
    assert not mistakes
    ours = [each for each in known if each.builtin]
    assert [each.id for each in ours] == sorted(each.spec.id for each in plugin.validators)
    assert {each.plugin for each in ours} == {"builtin"}


def test_a_single_file_is_a_plugin(directory: Path) -> None:
    """Its validators are found, with the file they come from; other files are left alone."""
    path = write(directory, "acme.py", GOOD % ("acme-check", API))
    write(directory, "notes.txt", "no Python")
    write(directory, "broken.py.orig", "(")
    known, mistakes = discover(str(directory))
    assert not mistakes
    (found,) = [each for each in known if not each.builtin]
    assert (found.id, found.plugin, found.origin) == ("acme-check", "acme", str(path))


def test_no_directory_is_no_mistake() -> None:
    """The setting is empty by default."""
    assert discover("")[1] == []


def test_a_directory_that_is_not_there_is_told(directory: Path) -> None:
    """An operator who configures one expects it to be read."""
    assert mistake(directory / "none") == f"plugins.directory: {directory}/none: No such file or directory"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_directory_that_others_can_write_is_not_trusted(directory: Path, mode: int) -> None:
    """Nothing in it is executed."""
    write(directory, "acme.py", "raise SystemExit('executed')")
    directory.chmod(mode)
    assert "writable by others than its owner; run chmod go-w" in mistake(directory)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_not_trusted(directory: Path, mode: int) -> None:
    """It is not executed, and the others are loaded all the same."""
    write(directory, "evil.py", "raise SystemExit('executed')").chmod(mode)
    write(directory, "good.py", GOOD % ("good-check", API))
    ids, mistakes = local(directory)
    assert ids == ["good-check"]
    assert [each.place for each in mistakes] == ["plugins.directory"]
    assert "evil.py: is writable by others" in mistakes[0].text


def test_somebody_elses_file_is_not_trusted(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is run only if it belongs to root, to the service's user, or to whoever runs this."""
    write(directory, "acme.py", "raise SystemExit('executed')")
    monkeypatch.setattr(discovery, "_owners", lambda _: frozenset({os.getuid() + 1}))
    assert f"belongs to user {os.getuid()}" in mistake(directory)
    monkeypatch.setattr(discovery, "_distrust", lambda status, _: "" if status.st_nlink > 1 else "is not ours")
    assert "acme.py: is not ours" in mistake(directory)


def test_a_user_who_does_not_exist_owns_nothing() -> None:
    """The service's user may not be there yet when a configuration is checked."""
    assert discovery._owners("no-such-user-1") == {0, os.geteuid()}
    assert 0 in discovery._owners("root")


def test_what_is_no_regular_file_is_not_read(directory: Path) -> None:
    """A link may point anywhere, a pipe would block: neither is opened for good."""
    target = write(directory, "target.txt", GOOD % ("x-check", API))
    (directory / "link.py").symlink_to(target)
    os.mkfifo(directory / "pipe.py", 0o600)
    (directory / "folder.py").mkdir(mode=0o755)
    ids, mistakes = local(directory)
    assert ids == []
    assert [each.text.split(": ")[0].rpartition("/")[2] for each in mistakes] == ["folder.py", "link.py", "pipe.py"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise ValueError('two\\n  lines')", "ValueError: two lines"),
        ("raise ValueError('x' * 1000)", "ValueError: xxx"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise BaseException", "BaseException"),
        ("\0", "null bytes"),
        ("x = 1", "has no Plugin object named `plugin`"),
        ("plugin = 'x'", "has no Plugin object named `plugin`"),
        (GOOD % ("a-b", API + 1), f"was written for interface {API + 1}; this forebay has {API}"),
        (GOOD % ("Not Kebab", API), "must be kebab-case"),
        (GOOD.partition("    def check")[0] % "a-b", "a-b: write its method check"),
        ("from forebay.api import Plugin\nplugin = Plugin('x', 1, (int,))", "no class under @validator"),
        ("from forebay.api import *\nplugin = Plugin('x', 1, (FieldValidator,))", "no class under @validator"),
        ("from forebay.api import Plugin\nplugin = Plugin('x', 1, ('x',))", "no class under @validator"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_told(directory: Path, text: str, told: str) -> None:
    """In one bounded line, with its name and file; nothing is skipped in silence."""
    path = write(directory, "acme.py", text)
    line = mistake(directory)
    assert line.startswith(f"plugins: plugin acme ({path})")
    assert told in line
    assert len(line) < 500 + len(str(path))


def test_an_interrupt_at_import_is_the_operators(directory: Path) -> None:
    """Ctrl-C is not a plugin's mistake."""
    write(directory, "acme.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover(str(directory))


def test_an_id_that_is_taken_is_told(directory: Path) -> None:
    """Ours stays, and of two files the first in alphabetical order."""
    write(directory, "a.py", GOOD % ("date-obsolete", API))
    write(directory, "b.py", GOOD % ("same-check", API))
    write(directory, "c.py", GOOD % ("same-check", API))
    ids, mistakes = local(directory)
    assert ids == ["same-check"]
    assert len(mistakes) == 2
    assert "plugin a" in mistakes[0].text
    assert "brings date-obsolete, which forebay" in mistakes[0].text
    assert f"plugin c ({directory}/c.py) brings same-check, which {directory}/b.py has already" in mistakes[1].text


class Point(metadata.EntryPoint):
    """An entry point of a distribution that is not there."""

    dist = None


def test_an_installed_plugin_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are loaded; an installed plugin never stands for ours, whatever it calls itself."""
    ours = metadata.entry_points(group=discovery.GROUP)
    points = (*ours, Point("builtin", "no_such_module:plugin", discovery.GROUP))
    monkeypatch.setattr(metadata, "entry_points", lambda **_: points)
    known, mistakes = discover()
    assert [each.builtin for each in known] == [True] * len(plugin.validators)
    (found,) = mistakes
    assert "plugin builtin (no_such_module:plugin) cannot be imported: ModuleNotFoundError" in found.text
