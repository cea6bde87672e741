"""The libraries that forebay was released with: each in one version, and with the hashes of its files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[3]
PINS: Final = ROOT / "milter/pins.txt"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins() -> dict[str, tuple[Requirement, list[str]]]:
    """Of each library its line, and the hashes below it."""
    text = re.sub(r"^#.*\n", "", PINS.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in text.splitlines():
        wanted, *hashes = re.split(r"\s+(?=--)", line)
        requirement = Requirement(wanted)
        found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


def test_each_is_one_version_and_has_hashes() -> None:
    """No range, no file without a hash, no hash but SHA-256."""
    assert len(pins()) > 10
    for requirement, hashes in pins().values():
        assert [each.operator for each in requirement.specifier] == ["=="]
        assert hashes
        assert all(_HASH.fullmatch(each.strip()) for each in hashes), requirement.name


@pytest.mark.parametrize("wanted", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["fleet"]])
def test_they_are_what_the_project_asks_for(wanted: str) -> None:
    """Each library that is asked for is there, in a version that will do."""
    requirement = Requirement(wanted)
    pinned, _ = pins()[canonicalize_name(requirement.name)]
    (version,) = pinned.specifier
    assert requirement.specifier.contains(version.version)


def test_what_they_need_themselves_is_there_too() -> None:
    """Whatever one of them asks for on this system: pip would refuse the whole file otherwise."""
    known = pins()
    waiting = [Requirement(each) for each in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["fleet"]]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert name in known
        for extra in requirement.extras or {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needed = [Requirement(each) for each in requires(name) or ()]
            waiting += [each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})]


def test_pip_takes_them_and_nothing_else(tmp_path: Path) -> None:
    """An environment of them runs forebay; a file that is not the one of the release is refused."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--require-hashes", "--requirement", str(PINS)], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    subprocess.run([tmp_path / "venv/bin/forebay", "--version"], check=True)
    forged = tmp_path / "forged.txt"
    forged.write_text(f"click=={next(iter(pins()['click'][0].specifier)).version} --hash=sha256:{'0' * 64}\n")
    command = [*install, "--force-reinstall", "--no-deps", "--require-hashes", "--requirement", str(forged)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
