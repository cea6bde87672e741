"""The two shell scripts, where something is missing or wrong: one clear message, and the right exit status."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "cat", "chown", "date", "dirname", "python3", "touch")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout without a .venv, and a PATH with the bare minimum of programs."""
    (tmp_path / "milter").mkdir()
    for name in ("milter/quickstart", "milter/prepare", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (tmp_path / "bin" / name).symlink_to(found)
    pretend(tmp_path, "id", "echo 0")
    return tmp_path


def pretend(root: Path, name: str, script: str) -> None:
    """Put a program into the PATH."""
    (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (root / "bin" / name).chmod(0o755)


def run(root: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts."""
    return subprocess.run(
        (str(root / "milter" / script), *arguments), env={"PATH": str(root / "bin")}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_help_tells_what_happens(root: Path) -> None:
    """Nothing is installed for that."""
    for option in ("--help", "-h"):
        done = run(root, "quickstart", option)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: milter/quickstart [--once]\n")


@pytest.mark.parametrize("arguments", [("--twice",), ("--once", "x"), ("x",)])
def test_an_unknown_option_is_a_mistake(root: Path, arguments: tuple[str, ...]) -> None:
    """The usage, and status 64."""
    done = run(root, "quickstart", *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("Usage: ")


def test_who_is_not_root_is_told(root: Path) -> None:
    """Before anything is installed."""
    pretend(root, "id", "echo 1000")
    done = run(root, "quickstart", "--once")
    assert done.returncode == 77
    assert done.stderr == f"Postfix starts as root only. Run: sudo {root}/milter/quickstart --once\n"


def test_another_system_is_told_what_to_install(root: Path) -> None:
    """Without apt-get: the packages that are missing, and what they are called elsewhere."""
    done = run(root, "quickstart", "--once")
    assert done.returncode == 69
    assert "This system has no apt-get, and these are missing (Debian's names): gcc" in done.stderr
    assert "Fedora: " in done.stderr


def test_a_python_that_is_too_old_is_told(root: Path) -> None:
    """Ubuntu 22.04 has 3.10: what to install there."""
    (root / "bin/python3").unlink()
    pretend(root, "python3", 'if [ "$1" = --version ]; then echo Python 3.10.12; else exit 1; fi')
    pretend(root, "apt-get", "exit 0")
    done = run(root, "prepare")
    assert done.returncode == 69
    assert "Python 3.11 or newer is needed, and this release has Python 3.10.12." in done.stderr
    assert "python3.11-venv" in done.stderr


def test_an_installation_that_fails_shows_what_it_said(root: Path) -> None:
    """The command, and its words."""
    pretend(root, "apt-get", 'case "$*" in *update*) ;; *) echo "E: Unable to locate package gcc"; exit 100 ;; esac')
    done = run(root, "prepare")
    assert done.returncode == 69
    assert "E: Unable to locate package gcc" in done.stderr
    assert "This command failed: apt-get -qq install " in done.stderr
