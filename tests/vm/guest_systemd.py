"""What is done in the guest, as root, under a systemd that is process 1: the whole life of the installed service.

Called with the program that was installed for it and a file for what was seen, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forebay.testing import Message
from forebay.testing.milter_client import MilterClient

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = "forebay-milter"
SOCKET = "/var/spool/postfix/forebay/milter.sock"
CONFIG = Path("/etc/forebay/forebay.toml")
GOOD = b"From: a@example.org\nTo: b@example.org\nDate: Thu, 26 Nov 2026 10:00:00 +0000\nMessage-ID: <1@a>\nSubject: x\n"
EVIL = GOOD.replace(b"To: b", b'To: "b')
PATIENCE = 120.0


def run(*command: str) -> tuple[int, str]:
    """Run a command: its status, and all that it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, (done.stdout + done.stderr).strip()


def show(name: str) -> str:
    """One property of the unit."""
    return run("systemctl", "show", "--property", name, "--value", UNIT)[1]


def verdict(header: bytes) -> str:
    """What the milter says to a message now; empty while it does not answer."""
    with suppress(OSError), MilterClient(f"unix:{SOCKET}", timeout=PATIENCE) as client:
        return client.send(Message.parse(header)).action.name
    return ""


def wait(holds: Callable[[], object]) -> bool:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def journal() -> str:
    """What the service has said."""
    return run("journalctl", "--no-pager", "--output=cat", "--unit", UNIT)[1]


def configure(policy: str) -> None:
    """Write the configuration."""
    CONFIG.write_text(f'[milter]\nlisten = "unix:{SOCKET}"\nworkers = 2\n{policy}')


def privileges(pid: str) -> dict[str, str]:
    """Of a process: who it is, and what it may do."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        name: value.strip() for name, _, value in lines if name in {"Uid", "Groups", "NoNewPrivs", "Seccomp", "CapBnd"}
    }


def live(program: str) -> dict[str, Any]:
    """Install, start, reload, hurt, stop and remove the service, and tell what was seen."""
    seen: dict[str, Any] = {"systemd": run("systemctl", "--version")[1].split()[1]}
    with Path("/etc/group").open("a") as groups:
        groups.write("postfix:x:5000:\n")
    Path("/var/spool/postfix").mkdir(parents=True, exist_ok=True)
    seen["install"] = run(program, "install", "--program", program)
    seen["user"] = run("id", "forebay")[1]
    configure("")
    run("systemctl", "daemon-reload")
    seen["start"] = run("systemctl", "start", UNIT)
    main, heard = show("MainPID"), show("WatchdogTimestampMonotonic")
    seen["privileges"] = privileges(main)
    found = Path(SOCKET).stat()
    seen["socket"] = [found.st_mode & 0o777, found.st_gid]
    seen["verdicts"] = [verdict(GOOD), verdict(EVIL)]

    configure('[policy]\npreset = "observe"\n')
    seen["reload"] = run("systemctl", "reload", UNIT)
    seen["reloaded"] = wait(lambda: verdict(EVIL) == "ACCEPT")

    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    (worker, *_) = [each for each in children if Path(f"/proc/{each}/comm").read_text().startswith("forebay-worker")]
    os.kill(int(worker), signal.SIGKILL)
    seen["heard of again"] = wait(lambda: show("WatchdogTimestampMonotonic") != heard)
    seen["after a worker's death"] = [show("ActiveState"), show("MainPID") == main, show("NRestarts"), verdict(EVIL)]

    os.kill(int(main), signal.SIGKILL)
    restarted = wait(lambda: show("MainPID") not in {main, "0"} and verdict(EVIL) == "ACCEPT")
    wait(lambda: show("ActiveState") == "active")  # a worker may answer before that, and no reload be taken yet
    seen["after the supervisor's death"] = [restarted, show("NRestarts")]

    configure("[policy]\npreset = 'observ'\n")
    reload = run("systemctl", "reload", UNIT)[0]
    wait(lambda: "reload: refused" in journal())  # a moment later
    seen["wrong reload"] = [reload, verdict(EVIL), show("ActiveState")]
    seen["wrong restart"] = [run("systemctl", "restart", UNIT)[0], show("ActiveState"), show("ExecMainStatus")]

    configure("")
    run("systemctl", "reset-failed", UNIT)
    seen["start again"] = run("systemctl", "start", UNIT)
    seen["stop"] = [run("systemctl", "stop", UNIT)[0], show("Result"), Path("/run/forebay").exists()]
    seen["state"] = Path("/var/lib/forebay").stat().st_mode & 0o777
    seen["journal"] = journal()
    seen["remove"] = run(program, "install", "--program", program, "--remove")
    run("systemctl", "daemon-reload")
    seen["left"] = [show("LoadState"), CONFIG.exists()]
    return seen


if __name__ == "__main__":
    try:
        told = live(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - what goes wrong here has no other way out of the guest
        told = {"error": repr(error), "status": run("systemctl", "status", "--no-pager", UNIT)[1]}
    Path(sys.argv[2]).write_text(json.dumps(told))
