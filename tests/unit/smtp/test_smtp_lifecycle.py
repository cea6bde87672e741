"""The service's beginning and end: what it refuses to start with, and the signals that it hears, whoever started it."""

from __future__ import annotations

import grp
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forebay.testing import Message, milter_service
from forebay.testing.service import FOREBAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLEAN = Message.parse(
    b"From: jane@example.org\nTo: joe@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\nMessage-ID: <1@example.org>\n"
)
DEADLINE = 60.0
CONFIG = """\
[milter]
listen = "unix:{folder}/milter.sock"
metrics = ""
state = "{folder}/state"
runtime = "{folder}/run"
socket_group = ""
user = ""
workers = 1
"""

# What a shell, a test runner or a service manager may have left behind for its children.
UNFRIENDLY = """\
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGPROF):
    signal.signal(each, signal.SIG_IGN)
os.execv(sys.executable, (sys.executable, *sys.argv[1:]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="forebay-", dir="/tmp") as name:
        yield Path(name)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def start(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    """Run the milter with a configuration that it must refuse, and what it says."""
    (folder / "forebay.toml").write_text(config)
    command = (*FOREBAY, "milter", "--config", str(folder / "forebay.toml"))
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    """A unix socket that somebody serves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        yield sock


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_heard_even_where_the_parent_ignores_and_blocks_signals(order: signal.Signals) -> None:
    """Blocked and ignored signals are inherited; the service takes them all the same, and says why it ends."""
    program = (sys.executable, "-c", UNFRIENDLY, *FOREBAY[1:])
    with milter_service(milter="workers = 1", program=program) as service:
        service.send(CLEAN)
        service.process.send_signal(order)
        assert service.process.wait(DEADLINE) == 0
        assert f"{order.name}: stopping" in service.log()
        assert not (service.folder / "milter.sock").exists()


def test_a_reload_is_heard_even_where_the_parent_ignores_and_blocks_signals() -> None:
    """The same for SIGHUP: the new configuration is in use afterwards."""
    program = (sys.executable, "-c", UNFRIENDLY, *FOREBAY[1:])
    with milter_service(milter="workers = 1", program=program) as service:
        service.send(CLEAN)
        service.config.write_text(service.config.read_text() + '\n[policy]\npreset = "observe"\n')
        service.reload()
        eventually(lambda: "reloaded" in service.log())
        assert status(service.config)["preset"] == "observe"


def test_a_stop_during_the_start_is_obeyed(folder: Path) -> None:
    """However early SIGTERM comes after the socket is there, the service ends with status 0 and leaves no path behind."""
    (folder / "forebay.toml").write_text(CONFIG.format(folder=folder))
    command = (*FOREBAY, "milter", "--config", str(folder / "forebay.toml"))
    for delay in (0.0, 0.05, 0.2):
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            eventually((folder / "milter.sock").exists)
            time.sleep(delay)
            process.terminate()
            assert process.wait(DEADLINE) == 0
        assert not (folder / "milter.sock").exists()


def test_what_needs_a_restart_is_refused_at_a_reload() -> None:
    """A setting that cannot change while the service runs is named, each with its place, and all stays as it was."""
    with milter_service(milter="workers = 1") as service:
        service.send(CLEAN)
        before = service.config.read_text()
        changed = before.replace("milter.sock", "other.sock").replace('runtime = "', 'runtime = "/nowhere')
        service.config.write_text(changed)
        service.reload()
        eventually(lambda: "reload: refused" in service.log())
        log = service.log()
        assert "milter.listen: a reload cannot change this" in log
        assert "milter.runtime: a reload cannot change this" in log
        assert service.metrics()['forebay_reloads_total{result="failed"}'] == 1
        assert service.metrics()["forebay_config_last_reload_successful"] == 0
        service.config.write_text(before)
        said = status(service.config)
        assert said["state"] == "serving"
        assert said["reload"]["ok"] is False
        service.reload()
        eventually(lambda: service.metrics()["forebay_config_last_reload_successful"] == 1)


def test_a_plugin_that_breaks_is_refused_at_a_reload() -> None:
    """Mistakes that only a template can find are reported like any other, and the old template goes on."""
    with milter_service(milter="workers = 1") as service:
        service.send(CLEAN)
        service.config.write_text(service.config.read_text() + "\n[validators.no-such-thing]\nenabled = true\n")
        service.reload()
        eventually(lambda: "reload: refused" in service.log())
        assert "validators.no-such-thing: no validator of that name" in service.log()
        service.config.write_text(service.config.read_text() + "\n[policy]\npreset = 3\n")
        service.reload()
        eventually(lambda: "policy.preset" in status(service.config)["reload"]["error"])
        assert service.send(CLEAN).action.word == "accept"


def status(config: Path) -> dict[str, Any]:
    """What `forebay status` says of a milter that runs."""
    command = (*FOREBAY, "status", "--json", "--config", str(config))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said: dict[str, Any] = json.loads(done.stdout)["milter"]
    return said


def test_a_second_milter_does_not_start_beside_the_first() -> None:
    """One address, one service: the second one says who is in the way, and takes nothing from the first."""
    with milter_service(milter="workers = 1") as service:
        service.send(CLEAN)
        command = (*FOREBAY, "milter", "--config", str(service.config))
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == os.EX_UNAVAILABLE
        assert "already served by another forebay milter; end that one first" in done.stderr
        assert service.send(CLEAN).action.word == "accept"


def test_a_port_in_use_is_named(folder: Path) -> None:
    """The port of the metrics, or of the milter, is held by somebody else: which setting, and what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        config = CONFIG.format(folder=folder).replace('metrics = ""', f'metrics = "127.0.0.1:{port}"')
        done = start(folder, config)
        assert done.returncode == os.EX_UNAVAILABLE
        assert done.stderr == (
            f"forebay: milter.metrics: 127.0.0.1:{port} is in use; end what listens there, or choose another port\n"
        )
        config = CONFIG.format(folder=folder).replace(f"unix:{folder}/milter.sock", f"inet:{port}@127.0.0.1")
        done = start(folder, config)
        assert done.returncode == os.EX_UNAVAILABLE
        assert "milter.listen: inet:" in done.stderr
    assert not (folder / "milter.sock").exists()


def test_a_path_that_is_no_socket_is_left_alone(folder: Path) -> None:
    """What stands in the socket's place may be somebody's file."""
    (folder / "milter.sock").write_text("precious")
    done = start(folder, CONFIG.format(folder=folder))
    assert done.returncode == os.EX_IOERR
    assert "exists and is no socket; remove it, or choose another path" in done.stderr
    assert (folder / "milter.sock").read_text() == "precious"


def test_a_socket_that_somebody_serves_is_left_alone(folder: Path) -> None:
    """Only a socket that nobody serves is replaced."""
    with bound(folder / "milter.sock"):
        done = start(folder, CONFIG.format(folder=folder))
        assert done.returncode == os.EX_UNAVAILABLE
        assert "already served by another process" in done.stderr
        assert (folder / "milter.sock").exists()


def test_a_socket_in_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    """The path is shown, and what is wrong with it."""
    done = start(folder, CONFIG.format(folder=folder).replace("/milter.sock", "/no/such/milter.sock"))
    assert done.returncode == os.EX_IOERR
    assert done.stderr == f"forebay: milter.listen: {folder}/no/such/milter.sock: No such file or directory\n"


def test_an_unknown_user_or_group_is_named(folder: Path) -> None:
    """Neither can be made up: the setting is named, and what to do."""
    config = CONFIG.format(folder=folder)
    done = start(folder, config.replace('socket_group = ""', 'socket_group = "no-such-group"'))
    assert (done.returncode, "milter.socket_group: there is no group 'no-such-group'" in done.stderr) == (74, True)
    if os.geteuid() == 0:
        done = start(folder, config.replace('user = ""', 'user = "no-such-user"'))
        assert (done.returncode, "milter.user: there is no user 'no-such-user'" in done.stderr) == (77, True)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    """Those of the file, of the policy and of a validator's options, each with its place."""
    wrong = '[policy]\npreset = "lax"\n[policy.actions]\nno-such-id = "reject"\n[validators.header-bytes]\nreject_above = "x"\n'
    done = start(folder, CONFIG.format(folder=folder) + "colour = 3\n" + wrong)
    assert done.returncode == os.EX_CONFIG
    for place in ("milter.colour", "policy.preset", "policy.actions.no-such-id", "validators.header-bytes"):
        assert place in done.stderr


def test_the_socket_has_its_mode_and_group_and_a_stale_one_is_replaced(folder: Path) -> None:
    """Who may connect is set before anybody can, and what a killed service left in the way does not stop the next."""
    group = grp.getgrgid(os.getegid()).gr_name
    path = folder / "milter.sock"
    with bound(path):
        pass
    (folder / "forebay.toml").write_text(
        CONFIG.format(folder=folder).replace('socket_group = ""', f'socket_group = "{group}"\nsocket_mode = "0640"')
    )
    command = (*FOREBAY, "milter", "--config", str(folder / "forebay.toml"))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: status(folder / "forebay.toml").get("state") == "serving")
            assert path.stat().st_mode & 0o777 == 0o640
            assert path.stat().st_gid == os.getegid()
        finally:
            process.terminate()
        assert process.wait(DEADLINE) == 0


def test_status_of_a_milter_that_does_not_run(folder: Path) -> None:
    """A file left behind by a dead one is not believed."""
    (folder / "forebay.toml").write_text(CONFIG.format(folder=folder))
    (folder / "run").mkdir()
    (folder / "run/milter.json").write_text('{"state": "serving", "pid": 1}')
    command = (*FOREBAY, "status", "--config", str(folder / "forebay.toml"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_UNAVAILABLE
    milter, quarantine = done.stdout.splitlines()
    assert milter.split(maxsplit=1) == ["milter", f"not running (nobody holds {folder}/run/milter.lock)"]
    assert quarantine.startswith(f"quarantine  not to be told: {folder}/state: ")


def test_the_service_manager_is_told(folder: Path) -> None:
    """sd_notify: ready when workers serve, reloading with its time, alive again and again, and stopping."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(DEADLINE)
        heard: list[str] = []

        def hear(line: str) -> None:
            while not any(each.startswith(line) for each in heard):
                heard.extend(manager.recv(4096).decode().splitlines())

        (folder / "forebay.toml").write_text(CONFIG.format(folder=folder))
        command = (*FOREBAY, "milter", "--config", str(folder / "forebay.toml"))
        environment = os.environ | {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "400000"}
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
            try:
                hear("READY=1")
                hear("WATCHDOG=1")
                heard.clear()
                process.send_signal(signal.SIGHUP)
                hear("RELOADING=1")
                hear("MONOTONIC_USEC=")
                hear("READY=1")
                process.terminate()
                hear("STOPPING=1")
            finally:
                process.terminate()
            assert process.wait(DEADLINE) == 0
