"""`forebay plugins`: what it writes works at once, and what it lists is there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from forebay.cli.main import run as forebay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def quiet_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration file, in the place of what this machine may have."""
    path = tmp_path / "forebay.toml"
    path.touch()
    monkeypatch.setenv("FOREBAY_CONFIG", str(path))
    return path


def test_a_new_plugin_passes_everything_at_once(shell: Callable[[str], str]) -> None:
    """What `plugins new` writes is installed, found, tested, linted, typed and taken off again, untouched."""
    shell("forebay plugins new long-word && cd long-word && pip install --quiet --no-deps --editable .")
    shell("cd long-word && pytest -q && ruff check . && ruff format --check . && mypy")
    listed = [json.loads(line) for line in shell("forebay plugins list --json").splitlines()]
    assert {"plugin": "long-word", "origin": "long-word 0.1.0", "builtin": False, "validators": ["long-word"]} in listed
    assert "long-word" in shell("forebay plugins list")
    shell("pip uninstall --quiet --yes long-word")
    assert "long-word" not in shell("forebay plugins list")


@pytest.mark.parametrize(
    "name", ["", "Long", "long_word", "long-", "-long", "9", "../x", "a" * 65, "json", "class", "field"]
)
def test_a_name_that_cannot_be_one_is_refused(
    name: str, tmp_path: Path, quiet_configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name is kebab-case, and must not stand in the way of a module or class; nothing is written then."""
    assert forebay(["plugins", "new", "--into", str(tmp_path), "--", name]) == os.EX_USAGE
    assert list(tmp_path.iterdir()) == [quiet_configuration]
    assert capsys.readouterr().err.startswith("forebay: ")


def test_an_id_that_is_taken_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin that would be refused when loaded is not begun."""
    assert forebay(["plugins", "new", "--into", str(tmp_path), "nul-byte"]) == os.EX_USAGE
    assert "nul-byte" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is there already is left alone."""
    (tmp_path / "long-word").mkdir()
    assert forebay(["plugins", "new", "--into", str(tmp_path), "long-word"]) == os.EX_DATAERR
    assert "is there already" in capsys.readouterr().err
    assert list((tmp_path / "long-word").iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the path and what the system said."""
    assert forebay(["plugins", "new", "--into", str(tmp_path / "missing"), "long-word"]) == os.EX_IOERR
    assert f"{tmp_path}/missing/long-word: No such file" in capsys.readouterr().err


def test_local_plugins_are_listed_with_their_file(
    quiet_configuration: Path, local_plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Single files from the configured directory stand beside installed packages."""
    quiet_configuration.write_text(f'[plugins]\ndirectory = "{local_plugins}"\n')
    assert forebay(["plugins", "list", "--json"]) == os.EX_OK
    listed = {each["plugin"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert listed["builtin"]["builtin"]
    assert listed["mailer_unwanted"]["origin"] == str(local_plugins / "mailer_unwanted.py")
    assert listed["mailer_unwanted"]["validators"] == ["mailer-unwanted"]


def test_a_broken_plugin_is_told_and_the_others_are_listed(
    tmp_path: Path, quiet_configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plugin that cannot be imported is named on standard error, with the status of a wrong configuration."""
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "broken.py").write_text("import no_such_module\n")
    quiet_configuration.write_text(f'[plugins]\ndirectory = "{tmp_path / "local"}"\n')
    assert forebay(["plugins", "list"]) == os.EX_CONFIG
    captured = capsys.readouterr()
    assert "broken.py" in captured.err
    assert "no_such_module" in captured.err
    assert "builtin" in captured.out
