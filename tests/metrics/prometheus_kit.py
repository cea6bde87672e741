"""What the tests of the metrics share: Debian's Prometheus, promtool and Alertmanager, unpacked, on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay.quickstart.debs import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
GRAFANA: Final = ROOT / "grafana"
RULES: Final = GRAFANA / "alerts" / "forebay.yml"
CACHE: Final = ROOT / ".cache"
DEADLINE: Final = 60.0
SUITES: Final = ("trixie", "sid")
MIRROR: Final = "http://deb.debian.org/debian"
KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


def promtool(*arguments: str, tree: Path | None = None, given: str = "", cwd: Path | None = None) -> str:
    """Run promtool; what it says. A failure is an AssertionError with that."""
    program = (tree or unpack("prometheus", CACHE)) / "usr/bin/promtool"
    done = subprocess.run(
        (str(program), *arguments), input=given, capture_output=True, text=True, cwd=cwd, check=False, env=os.environ
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def newer_promtool(suite: str) -> Path:
    """The folder with promtool of a newer Debian; download it the first time. It is static."""
    tree = CACHE / f"promtool-{suite}"
    if tree.is_dir():
        return tree
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"promtool-{suite}-", dir=CACHE) as place:
        work = Path(place)
        for each in ("lists/partial", "cache/archives/partial", "root"):
            (work / each).mkdir(parents=True)
        (work / "status").touch()
        (work / "source.list").write_text(f"deb [signed-by={KEYS}] {MIRROR} {suite} main\n")
        options = {
            "APT::Sandbox::User": "root", "Dir::Etc::sourcelist": work / "source.list",
            "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": work / "lists",
            "Dir::State::status": work / "status", "Dir::Cache": work / "cache", "Acquire::Languages": "none",
        }  # fmt: skip
        apt = ("apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}")))
        subprocess.run((*apt, "update"), check=True, capture_output=True)
        # Newer Debians have promtool in a package of its own.
        subprocess.run((*apt, "download", "promtool"), check=True, capture_output=True, cwd=work)
        subprocess.run(("dpkg-deb", "-x", str(next(work.glob("*.deb"))), str(work / "root")), check=True)
        (work / "root").chmod(0o755)
        (work / "root").rename(tree)
    return tree


@dataclass(frozen=True, slots=True)
class Server:
    """A Prometheus, or an Alertmanager, that runs."""

    port: int

    def get(self, path: str, **parameters: str | float) -> Any:
        """What its API answers; an error is an AssertionError with its text."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{query}", timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression, now."""
        return list(self.get("/api/v1/query", query=expression)["data"]["result"])

    def value(self, expression: str) -> float:
        """The one value of an expression."""
        found = self.query(expression)
        assert len(found) == 1, (expression, found)
        return float(found[0]["value"][1])


@contextmanager
def server(command: Sequence[str], port: int, folder: Path) -> Iterator[Server]:
    """Run one in a folder until the end of the block; it is ready when the block begins."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + DEADLINE
        while not _is_ready(port):
            assert time.monotonic() < until, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield Server(port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder / "data", ignore_errors=True)


def prometheus(port: int, folder: Path) -> list[str]:
    """The command line of a Prometheus with the configuration `prometheus.yml` in that folder."""
    program = unpack("prometheus", CACHE) / "usr/bin/prometheus"
    return [
        str(program), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", "--query.lookback-delta=1m",
    ]  # fmt: skip


def alertmanager(port: int, folder: Path, config: Path) -> list[str]:
    """The command line of an Alertmanager. Debian's looks for its templates in /usr/share: it gets one of its own."""
    tree = unpack("prometheus-alertmanager", CACHE)
    enter = f'mount -t overlay overlay -o "lowerdir={tree}/usr/share:/usr/share" /usr/share && exec "$0" "$@"'
    return [
        "unshare", "--mount", "sh", "-c", enter, f"{tree}/usr/bin/prometheus-alertmanager", f"--config.file={config}",
        f"--storage.path={folder}/data", "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]  # fmt: skip


def series(text: str) -> set[str]:
    """The series of a metrics page: name and labels."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def names(text: str) -> set[str]:
    """The names of forebay's metrics in an expression or a text."""
    found = re.findall(r"\bforebay_[a-z_]+\b", text)
    return {re.sub(r"_(bucket|sum|count)$", "", each) for each in found}


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
