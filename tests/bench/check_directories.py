"""How fast `forebay check` goes through directories of files, and what memory it takes.

    .venv/bin/python tests/bench/check_directories.py [--json] [FILES]

Beside it, by turns: reading the same files in Python, and taking each apart with the standard library's email package
(headers only), which forebay never does.
"""

from __future__ import annotations

import email.parser
import email.policy
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kit import mail
from bench.kit.report import report

ROUNDS = 3
FILES = 3000
HEAD = ("what", "files a second", "CPU us a file", "memory MB")
CHECK = ("-c", "from forebay.cli.main import main; main()", "check", "--json")
PARSE = "parse"


def write(folder: Path, files: int) -> None:
    """Fill a directory."""
    messages = mail.realistic(min(files, 300))
    for number in range(files):
        message = messages[number % len(messages)]
        lines = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in message.fields)
        (folder / f"{number:06}.eml").write_bytes(lines + b"\r\n" + message.body[:4000])


def measure(*command: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU time and megabytes of memory that a program takes."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # it has been waited for
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def read(folder: str, *, parsed: bool) -> None:
    """What it is compared with."""
    parser = email.parser.BytesHeaderParser(policy=email.policy.default)
    for each in sorted(Path(folder).iterdir()):
        data = each.read_bytes()
        if parsed:
            for _, value in parser.parsebytes(data).items():  # noqa: PERF102 - reading them is what takes time
                str(value)


def main() -> None:
    """Measure, and print."""
    if sys.argv[1:2] == [PARSE]:
        read(sys.argv[2], parsed=sys.argv[3] == "parsed")
        return
    files = next((int(each) for each in sys.argv[1:] if each.isdigit()), FILES)
    own = str(Path(__file__).resolve())
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        commands = {
            "forebay check": (*CHECK, folder),
            "reading them": (own, PARSE, folder, "plain"),
            "the email package": (own, PARSE, folder, "parsed"),
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                found[name].append(measure(*command))
    median = {name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in found.items()}
    rows = [
        (name, f"{files / took:,.0f}", f"{cpu / files * 1e6:,.0f}", f"{memory:.0f}")
        for name, (took, cpu, memory) in median.items()
    ]
    cpu = {name: each[1] for name, each in median.items()}
    report(
        "check_directories",
        HEAD,
        rows,
        {"CPU to that of the email package": cpu["forebay check"] / cpu["the email package"]},
    )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
