"""Blocks of what a person types and reads: run in a shell, and compared with what is shown."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# What differs from one run, one machine or one version to the next; pids, ages, numbers of validators.
VARYING: Final = (
    (re.compile(r"\bpid \d+"), "pid 1"),
    (re.compile(r"\b\d+ (?:seconds|minutes|hours|days)\b"), "1 seconds"),
    (re.compile(r"\bforebay \d+\.\d+\.\d+"), "forebay 0.0.0"),
    (
        re.compile(r"\d+ of \d+ validators, of plugins builtin \(\d+\)"),
        "144 of 144 validators, of plugins builtin (144)",
    ),
    (re.compile(r"\band \d+ more$", re.MULTILINE), "and 9 more"),
    (re.compile(r" {2,}(?=\S)"), "  "),
)
CURL: Final = """\
#!{python}
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[-1], timeout=10).read().decode())
"""
"""A fresh machine has no curl; for what is shown, this does."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command, the lines that belong to it included, and what it is said to print."""

    command: str
    output: str


def typed(text: str) -> list[Typed]:
    """The commands of a block: each begins with `$ `, further lines of it with `> `; the rest is output."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line == ">" or line.startswith("> "):
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [Typed("\n".join(command), "\n".join(output)) for command, output in found]


def steady(text: str) -> str:
    """Text without what varies."""
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    return text.rstrip()


def environment(folder: Path, config: Path) -> dict[str, str]:
    """What a shell needs to find this interpreter's forebay and a configuration of nobody's."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    curl = tools / "curl"
    curl.write_text(CURL.format(python=sys.executable))
    curl.chmod(curl.stat().st_mode | stat.S_IXUSR)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FOREBAY_CONFIG": str(config), "COLUMNS": "80", "NO_COLOR": "1"}


def run(command: str, folder: Path, env: Mapping[str, str]) -> str:
    """What a command prints, to standard output and standard error alike."""
    done = subprocess.run(
        ("bash", "-c", command), cwd=folder, env=dict(env), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout
