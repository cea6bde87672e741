"""The author's guide: every block of code in it is run, and what it shows is what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forebay.config import load
from forebay.judge.load import compile_judge
from forebay.testing import run_examples

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((PLUGINS / "README.md").read_text("utf-8"))
EXAMPLES = {path.name: path.read_text("utf-8") for path in sorted((PLUGINS / "examples").glob("*.py"))}


def blocks(language: str) -> list[str]:
    """The blocks in one language, in their order."""
    return [text for kind, text in BLOCKS if kind == language]


def test_every_block_says_its_language() -> None:
    """Only what is run or read by a test below may stand in a block."""
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "toml"}


def test_the_commands_do_what_they_say(shell: Callable[[str], str]) -> None:
    """All commands of the guide, typed one after the other in one shell as a reader would."""
    said = shell("\n".join(blocks("sh")))
    assert "local/empty_subject.py" in said
    assert "dist/long_word-0.1.0-py3-none-any.whl" in said
    assert "long-word" in said.split("dist/")[0]


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_settings_are_accepted(text: str, tmp_path: Path, local_plugins: Path) -> None:
    """Each piece of configuration is loaded with the worked examples installed."""
    if "directory" not in text:
        text += f'\n[plugins]\ndirectory = "{local_plugins}"\n'
    file = tmp_path / "forebay.toml"
    file.write_text(text.replace("/etc/forebay/plugins", str(local_plugins)))
    load(str(file), also=lambda config: compile_judge(config)[1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_examples_are_shown_whole(name: str) -> None:
    """What the guide shows is the file, byte by byte."""
    assert EXAMPLES[name] in blocks("python")


@pytest.mark.parametrize("text", [text for text in blocks("python") if "@validator" in text])
def test_the_validators_hold_what_their_examples_say(text: str) -> None:
    """Each validator that the guide shows finds all its bad examples and nothing in the good ones."""
    module: dict[str, Any] = {"__name__": "guide"}
    exec(compile(text, "plugins/README.md", "exec"), module)  # our own text
    shown = [each for each in module.values() if isinstance(each, type) and "spec" in vars(each)]
    assert shown
    for each in shown:
        run_examples(each)


@pytest.mark.parametrize("text", [text for text in blocks("python") if "def test_" in text])
def test_the_tests_pass(text: str, tmp_path: Path, local_plugins: Path) -> None:
    """The tests that the guide shows are run by pytest, in a process of their own."""
    (tmp_path / "test_shown.py").write_text(text)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {local_plugins}\n")
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_python_block_is_run() -> None:
    """A block is a validator or a test."""
    assert all("@validator" in text or "def test_" in text for text in blocks("python"))
