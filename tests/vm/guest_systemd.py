"""What is done in the guest, as root, under a systemd that is process 1: the whole life of the installed service.

Called with the program that was installed for it and a file for what was seen, as JSON.
"""

from __future__ import annotations

import json
import os
import re
import shutil
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
SIDECAR = "forebay-sidecar"
ROUTER = "router"
VERSIONS = Path("/opt/versions")
"""What Python looks at first: a version that is put there is the one that is installed."""
SOCKET = "/var/spool/postfix/forebay/milter.sock"
CONFIG = Path("/etc/forebay/forebay.toml")
GOOD = b"From: a@example.org\nTo: b@example.org\nDate: Thu, 26 Nov 2026 10:00:00 +0000\nMessage-ID: <1@a>\nSubject: x\n"
EVIL = GOOD.replace(b"To: b", b'To: "b')
PATIENCE = 120.0


def run(*command: str) -> tuple[int, str]:
    """Run a command: its status, and all that it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, (done.stdout + done.stderr).strip()


def show(name: str, unit: str = UNIT) -> str:
    """One property of a unit."""
    return run("systemctl", "show", "--property", name, "--value", unit)[1]


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


# A router as it may be packaged, confined as Debian 13 confines Postfix; what it is given to do takes half a second.
ROUTER_UNIT = """\
[Service]
ExecStart={program} guest /opt/checkout/tests/sidecar/standin_router.py --workers 2 /var/spool/router /delivered
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_SETGID CAP_SETUID CAP_DAC_OVERRIDE CAP_CHOWN
LockPersonality=yes
MemoryDenyWriteExecute=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectSystem=full
ProcSubset=pid
RestrictNamespaces=yes
SystemCallFilter=@system-service @setuid chroot
"""
ROUTER_CONFIG = """\
[router]
adapter = "spool"
spool = ["/var/spool/router"]
cgroup = "/system.slice/router.service"
[router.limits]
memory = 100000000
reserve = 100000000
"""
LETTER = "From: a@example.org\nMessage-ID: <{number}@a>\nX-Do: sleep 0.5\n\nHello\n"


def workers() -> dict[str, list[str]]:
    """The processes in each group of the router's unit."""
    base = Path("/sys/fs/cgroup/system.slice/router.service")
    return {each.parent.name: each.read_text().split() for each in base.glob("*/cgroup.procs")}


def in_leaves() -> list[str]:
    """The workers that have a group of their own."""
    return sorted(pid for name, pids in workers().items() if name.startswith("worker-") for pid in pids)


def delivered() -> int:
    """How many messages the router is done with."""
    return Path("/delivered").read_text().count("\n") if Path("/delivered").exists() else 0


def guard(program: str, seen: dict[str, Any]) -> None:
    """Guard a router that has a unit of its own; restart, reload and stop the sidecar while the router works."""
    spool = Path("/var/spool/router")
    spool.mkdir()
    Path(f"/etc/systemd/system/{ROUTER}.service").write_text(ROUTER_UNIT.format(program=program))
    seen["guard"] = run(program, "install", "--program", program, "--guard", f"{ROUTER}.service")
    configure(ROUTER_CONFIG)
    seen["verify"] = run("systemd-analyze", "verify", "--man=no", UNIT + ".service", SIDECAR + ".service",
                         ROUTER + ".service", "forebay-digest.timer")  # fmt: skip
    run("systemctl", "daemon-reload")
    seen["router starts"] = run("systemctl", "start", ROUTER)
    seen["sidecar starts"] = [*run("systemctl", "start", SIDECAR), show("ActiveState", SIDECAR)]
    router, sidecar = show("MainPID", ROUTER), show("MainPID", SIDECAR)
    seen["in leaves"] = wait(lambda: len(in_leaves()) == 2)
    before = in_leaves()
    for number in range(200):
        (spool / f"m{number}").write_text(LETTER.format(number=number))
    seen["works"] = wait(lambda: delivered() >= 2)

    seen["sidecar restarts"] = run("systemctl", "restart", SIDECAR)
    restarted = show("MainPID", SIDECAR)
    seen["sidecar reloads"] = run("systemctl", "reload", SIDECAR)
    active = wait(lambda: show("ActiveState", SIDECAR) == "active")
    seen["sidecar after"] = [restarted != sidecar, show("MainPID", SIDECAR) == restarted, active]
    configure(ROUTER_CONFIG.replace("spool =", "spoil ="))
    run("systemctl", "reload", SIDECAR)
    seen["wrong sidecar reload"] = [
        wait(lambda: show("ActiveState", SIDECAR) == "active"),
        show("MainPID", SIDECAR) == restarted,
    ]
    configure(ROUTER_CONFIG)
    time.sleep(1)  # more than ten scans: whoever is taken for a worker by mistake is taken by now
    seen["same workers"] = [in_leaves(), workers()["router"]] == [before, [router]]
    count = delivered()
    seen["works on"] = wait(lambda: delivered() > count)
    seen["untouched"] = [run(program, "status")[1], len(list(spool.glob("forebay-aside/*")))]
    seen["sidecar stops"] = [run("systemctl", "stop", SIDECAR)[0], show("Result", SIDECAR), in_leaves() == before]
    seen["router stops"] = [run("systemctl", "stop", ROUTER)[0], workers()]
    seen["sidecar journal"] = run("journalctl", "--no-pager", "--output=cat", "--unit", SIDECAR, "--unit", ROUTER)[1]


def upgrade(program: str, main: str) -> list[Any]:
    """Install another version, and reload: the same process is that version then."""
    (old,) = Path(f"/opt/checkout/{os.environ['GUEST_PACKAGES']}").glob("forebay-*.dist-info")
    new = VERSIONS / "forebay-99.0.dist-info"
    new.mkdir(parents=True)
    for each in ("METADATA", "entry_points.txt"):
        text = (old / each).read_text()
        (new / each).write_text(re.sub(r"^Version: .*", "Version: 99.0", text, flags=re.MULTILINE))
    status = run("systemctl", "reload", UNIT)[0]
    told = Path("/run/forebay/milter.json")
    is_new = wait(lambda: json.loads(told.read_text())["version"] == "99.0" and show("ActiveState") == "active")
    seen = [status, is_new, show("MainPID") == main, verdict(EVIL), run(program, "--version")[1]]
    shutil.rmtree(new)
    return seen


def live(program: str) -> dict[str, Any]:
    """Install, start, reload, hurt, stop and remove the services, and tell what was seen."""
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

    seen["upgrade"] = upgrade(program, main)
    seen["back"] = [run("systemctl", "reload", UNIT)[0], wait(lambda: show("ActiveState") == "active")]

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
    guard(program, seen)
    seen["stop"] = [run("systemctl", "stop", UNIT)[0], show("Result"), Path(SOCKET).exists()]
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
