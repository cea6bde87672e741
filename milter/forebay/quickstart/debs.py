"""Programs from Debian packages, unpacked into a folder of ours: nothing is installed into the system.

A package comes with the shared libraries that this machine lacks; they are found by asking apt what it would install.
"""

# ruff: noqa: S603, S607 - runs apt and dpkg, by name, with arguments of our own

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root")
"""As root in a folder of ours; apt's own download user could not write there."""


def unpack(package: str, cache: Path) -> Path:
    """Return the folder with this package unpacked, below `cache`; download it (and what it lacks) the first time.

    Raises UnavailableError with the command that failed and what it said.
    """
    tree = cache / package
    if tree.is_dir():
        return tree
    if shutil.which("apt-get") is None:
        raise UnavailableError(f"{package}: apt-get is needed to download it, and this system has none")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{package}-", dir=cache) as place:
        debs, root = Path(place, "debs"), Path(place, "root")
        debs.mkdir()
        root.mkdir()
        _download(package, debs)
        for deb in sorted(debs.glob("*.deb")):
            _run(("dpkg-deb", "-x", str(deb), str(root)), cwd=debs)
        root.chmod(0o755)
        try:
            root.rename(tree)
        except OSError:
            if not tree.is_dir():  # else another run was faster, and its folder is as good
                raise
    return tree


def library_path(tree: Path) -> str:
    """Return the value for LD_LIBRARY_PATH with which programs below `tree` find the libraries unpacked there."""
    places = [tree / "usr/lib/postfix", *tree.glob("usr/lib/*-linux-*"), *tree.glob("lib/*-linux-*")]
    return ":".join(str(place) for place in places if place.is_dir())


def missing_libraries(program: Path, tree: Path) -> list[str]:
    """Return the names of shared libraries that `program` (below `tree`) needs and that are nowhere to be found."""
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path(tree), "LC_ALL": "C"}
    done = subprocess.run(("ldd", str(program)), capture_output=True, text=True, env=environment, check=False)
    return re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)


def _download(package: str, folder: Path) -> None:
    try:
        _run((*APT, "download", *_with_libraries(package)), cwd=folder)
    except UnavailableError:
        # The package lists are missing or older than what the mirror still holds: once more with fresh ones.
        _run((*APT, "update"), cwd=folder)
        _run((*APT, "download", *_with_libraries(package)), cwd=folder)


def _with_libraries(package: str) -> list[str]:
    """Return the package and the libraries that apt would install along with it."""
    # Not --print-uris, which leaves out what lies in apt's own cache.
    command = (*APT, "--simulate", "--no-install-recommends", "install", package)
    plan = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    names = re.findall(r"^Inst (\S+)", plan.stdout, re.MULTILINE)
    return [package, *(name for name in names if name.startswith("lib"))]


def _run(command: Sequence[str], cwd: Path) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise UnavailableError(f"this failed (exit status {done.returncode}): {' '.join(command)}\n{said}")
