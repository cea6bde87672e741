"""forebay as a wheel, in environments of its own: what an installation in /opt/forebay is made of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a command that must end with this status; what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        tuple(map(str, command)), cwd=cwd, env=environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, f"{command}:\n{done.stdout}"
    return done.stdout


def wheel(folder: Path, version: str) -> Path:
    """The wheel of this checkout as if it had that version."""
    source, dist = folder / f"source-{version}", folder / f"dist-{version}"
    bare = shutil.ignore_patterns("__pycache__")
    for each in ("milter/forebay", "plugins/forebay_validators"):
        shutil.copytree(ROOT / each, source / each, ignore=bare)
    for each in ("README.md", "LICENSE"):
        shutil.copy(ROOT / each, source)
    project = (ROOT / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(
        re.sub(r'^version = ".*"', f'version = "{version}"', project, flags=re.MULTILINE)
    )
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", dist, source, cwd=folder)
    (found,) = dist.glob("forebay-*.whl")
    return found


def environment(folder: Path, built: Path) -> Path:
    """A virtual environment with this wheel, which borrows the libraries of the tests; its command `forebay`."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    install(folder, built)
    (packages,) = folder.glob("lib/python*/site-packages")
    (borrowed,) = Path(sys.prefix).glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin/forebay"


def install(folder: Path, built: Path) -> None:
    """Install a wheel into a virtual environment, in the place of what is there."""
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python")
    run(*pip, "install", "--quiet", "--no-deps", "--force-reinstall", built, cwd=folder)
