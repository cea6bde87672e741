"""What the tests of the sidecar share: a site in a temporary directory, with a stand-in router and a real sidecar."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forebay.api.process import is_alive
from forebay.api.router import Site as AdapterSite
from forebay.sidecar.claimpage import ClaimPage
from forebay.sidecar.clerk import Owner
from forebay.sidecar.enforce import own_name
from forebay.sidecar.journal import Entry, Journal
from forebay.sidecar.limits import cgroup
from forebay.sidecar.routers.zmailer import ZMailer

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUTER = Path(__file__).with_name("standin_router.py")
ADAPTERS = {"open": "spool", "old": "zmailer", "new": "zmailer", "single": "command"}
MEMORY = 96 << 20
IS_V2 = (cgroup.ROOT / "cgroup.controllers").exists()


class Site:
    """A spool, a router of one style, and a sidecar that is started and ended at will."""

    def __init__(self, root: Path, style: str = "open", workers: int = 4, **settings: object) -> None:
        self.root, self.style = root, style
        self.office = root / "spool"
        self.zmailer = style in {"old", "new"}
        self.queue = self.router_directory = self.office / "router" if self.zmailer else self.office
        folders = ["state", "run", "tmp", *(["router", "queue", "transport", "public"] if self.zmailer else [])]
        self.office.mkdir()
        for each in folders:
            (root if each in {"state", "run", "tmp"} else self.office).joinpath(each).mkdir()
        self.delivered_file = root / "delivered"
        self.delivered_file.touch()
        self.log_file = root / "log"
        self.outage = root / "outage"
        self.aside = self.office / "forebay-aside"
        self.workers = workers
        self.router_options: list[str] = []
        self.settings: dict[str, object] = {
            "router.limits.memory": MEMORY, "router.limits.message_cpu": 20.0, "router.limits.message_time": 30.0,
            "sidecar.metrics": "", **{key.replace("__", "."): value for key, value in settings.items()},
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.router: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """The router's command line."""
        word = "{}" if self.style == "single" else str(self.router_directory)
        options = ["--style", self.style, "--workers", str(self.workers), *self.router_options]
        return [sys.executable, str(ROUTER), *options, word, str(self.delivered_file)]

    def write_config(self) -> Path:
        """The configuration as a file."""
        values: dict[str, object] = {
            "milter.state": str(self.root / "state"), "milter.runtime": str(self.root / "run"),
            "router.adapter": ADAPTERS[self.style], "router.spool": [str(self.office)], **self.settings,
        }  # fmt: skip
        if self.style == "single":
            values["router.command"] = self.command
            values["router.processes"] = self.workers
        path = self.root / "forebay.toml"
        path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in values.items()))
        return path

    def start(self, *arguments: str, wrap: bool = True, user: int | None = None) -> None:
        """Start the sidecar, and the router in it."""
        command = [sys.executable, "-c", "from forebay.cli.main import main; main()", "sidecar",
                   "--config", str(self.write_config()), *arguments]  # fmt: skip
        if wrap and self.style != "single":
            command += ["--", *self.command]
        more = {"STANDIN_TMP": str(self.office / "public" if self.zmailer else self.root / "tmp"),
                "STANDIN_OUTAGE": str(self.outage) }  # fmt: skip
        if user is not None:  # no right but that to reach this Python, wherever it is
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=+dac_read_search",
                       "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search", *command]  # fmt: skip
            if unit(self.root).is_dir():  # where a service manager would start it
                command = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(unit(self.root) / "cgroup.procs"), *command]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, env=os.environ | more, stderr=log, stdout=log)
        self.wait(lambda: "guarding" in (self.status() or {}).get("state", "") and self._is_mine())

    def launch_router(self, group: Path | None = None) -> None:
        """Start the router as its own unit would, beside the sidecar: by the launcher, or without one in a group."""
        code = "from forebay.cli.main import main; main()"
        command = [sys.executable, "-c", code, "sidecar", "--config", str(self.write_config()), "--launch", "--"]
        if group:
            command = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs")]
        more = {"STANDIN_TMP": str(self.root / "tmp"), "STANDIN_OUTAGE": str(self.outage)}
        self.router = subprocess.Popen([*command, *self.command], env=os.environ | more)

    def holders(self, name: str) -> list[int]:
        """The live workers that hold a message (by the sidecar's record of claims)."""
        page = ClaimPage(self.root / "state-sidecar" / "claims")
        found = []
        for claim in page.left():
            path = Path(claim.path)
            if is_alive(claim.pid, claim.started) and path.exists() and f"<{name}@" in path.read_text("latin-1"):
                found.append(claim.pid)
        return found

    def record(self, name: str) -> tuple[str, int, int]:
        """What the journal has against a message in the queue: state, strikes, losses."""
        adapter = ZMailer(AdapterSite(spool=(str(self.office),)))
        journal = Journal(self.root / "state-sidecar")
        for path in adapter.paths():
            message = adapter.message(path)
            if message and f"<{name}@" in Path(path).read_text("latin-1"):
                found = journal.record(message.identity)
                return (found.state, found.strikes, found.losses) if found else ("", 0, 0)
        return ("", 0, 0)

    def _is_mine(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log()
        return (self.status() or {}).get("pid") == self.process.pid

    def status(self) -> dict[str, Any] | None:
        """What the sidecar says of itself."""
        try:
            return dict(json.loads((self.root / "run" / "sidecar.json").read_bytes()))
        except (OSError, ValueError):
            return None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the sidecar; its status."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(60)
        self.process = None
        return status

    def cli(self, *arguments: str) -> int:
        """A command of forebay with this site's configuration; its status."""
        code = "import sys; from forebay.cli.main import main; main(sys.argv[1:])"
        command = [
            sys.executable,
            "-c",
            code,
            *arguments[:2],
            "--config",
            str(self.root / "forebay.toml"),
            *arguments[2:],
        ]
        with self.log_file.open("ab") as log:
            return subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode

    def put(
        self,
        name: str,
        do: str = "",
        header: str = "",
        sender: str = "a@example.org",
        identity: str = "",
        owner: int = 0,
    ) -> Path:
        """A message in the spool, whole from the first moment; its path. `identity` makes it a copy of others."""
        body = "body\n"
        envelope = f"from <{sender}>\nto <b@example.com>\nenv-end\n" if self.zmailer else ""
        action = f"X-Do: {do}\n" if do else ""
        text = (
            f"{envelope}From: {sender}\nTo: b@example.com\nDate: Thu, 26 Nov 2026 01:00:00 +0000\n"
            f"Subject: hello\nMessage-ID: <{identity or name}@example.org>\n{action}{header}\n{body}"
        )
        made = self.root / "tmp" / name
        made.write_text(text, "latin-1")
        path = self.queue / (str(made.stat().st_ino) if self.zmailer else name)
        if owner:
            os.chown(made, owner, owner)
        made.rename(path)
        return path

    def delivered(self) -> list[str]:
        """The names of the messages that were delivered, in order, as often as they were."""
        return [line[1:].partition("@")[0] for line in self.delivered_file.read_text().split()]

    def waiting(self) -> list[str]:
        """The names in the router's directory."""
        return [each.name for each in self.queue.iterdir() if each.is_file()]

    def entries(self, *states: str) -> list[Entry]:
        """The journal's entries."""
        state = self.root / "state-sidecar"
        with Owner(state)():  # the journal is opened by nobody else
            journal = Journal(state)
            found = journal.entries(*states)
            journal.close()
        return found

    def aside_count(self) -> int:
        """How many messages lie aside, without a look into the journal."""
        return sum(each.suffix == ".msg" for each in self.aside.iterdir()) if self.aside.is_dir() else 0

    def aside_names(self) -> list[str]:
        """The names that the messages which lie aside were put in by."""
        found = []
        for entry in self.entries("aside"):
            text = Path(entry.aside).read_text("latin-1")
            found.append(text.partition("Message-ID: <")[2].partition("@")[0])
        return sorted(found)

    def log(self) -> str:
        """What the sidecar has logged."""
        return self.log_file.read_text("utf-8", "replace")

    def kills(self, what: str) -> int:
        """How many workers ended with this verdict."""
        return self.log().count(f" ended: {what},")

    def deaths(self) -> Counter[str]:
        """How many workers have ended, by verdict, but those that had nothing in hand and no fault."""
        return Counter(re.findall(r"worker \d+ ended: (?!idle)([a-z-]+)", self.log()))

    def kills_by(self, kinds: Iterable[str]) -> Counter[str]:
        """How many strikes there are of each kind of message, by the name that its Message-ID begins with."""
        found: Counter[str] = Counter(dict.fromkeys(kinds, 0))
        journal = Journal(self.root / "state-sidecar")
        aside = {entry.identity: entry.aside for entry in journal.entries("aside")}
        for (identity,) in journal._read("SELECT identity FROM strike"):
            if identity in aside:
                text = Path(aside[identity]).read_text("latin-1")
                found[text.partition("Message-ID: <")[2].partition("@")[0]] += 1
        journal.close()
        return found

    def wait(self, condition: Any, seconds: float = 300) -> None:
        """Wait until something holds; a failure shows the log."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"waited for {seconds} s in vain\n{self.log()[-6000:]}"
            if self.process:
                assert self.process.poll() is None, self.log()[-6000:]
            time.sleep(0.05)

    def metrics(self, port: int) -> str:
        """The metrics page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


def groups(root: Path) -> list[Path]:
    """Where the sidecar of a site makes its groups: v1; v2; v2 in a unit of its own, and that unit."""
    name = own_name(str(root / "state"))
    return [
        cgroup.ROOT / "memory" / cgroup.own_group("memory").lstrip("/") / name,
        cgroup.ROOT / cgroup.own_group("").lstrip("/") / name,
        unit(root) / name,
        unit(root),
    ]


def unit(root: Path) -> Path:
    """With v2, the group that a service manager delegates to a site's sidecar, where a test makes one."""
    return cgroup.ROOT / cgroup.own_group("").lstrip("/") / f"unit-{own_name(str(root / 'state'))}"


def _toml(value: object) -> str:
    return json.dumps(value)
