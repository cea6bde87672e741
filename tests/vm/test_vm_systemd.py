"""The installed service under a real systemd, in a guest: user-mode Linux, whose disk is this machine's, read-only.

What the guest writes goes to its own memory, above the host's files (overlayfs). Nothing of the host is changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from forebay.quickstart.debs import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
MEMORY: Final = 1 << 30
LIMIT: Final = 600
"""Seconds that the guest gets. It takes about one minute."""

# The unit sees neither /root nor /home, so that checkout and Python are shown to it below /opt.
INIT: Final = """\
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
{python} -c 'import ctypes, os; ctypes.CDLL(None).syscall(313, os.open("{module}", 0), b"", 0)'
mount -t tmpfs -o mode=755 memory /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root || poweroff -f
cd /mnt/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs dev dev
mount -t cgroup2 -o nsdelegate cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=1777 memory tmp
mkdir -p job opt/checkout opt/python
mount --bind {job} job
mount --bind {root} opt/checkout
mount --bind {base} opt/python
cat >opt/forebay <<'END'
#!/bin/sh
export GUEST_PACKAGES={packages} PYTHONHOME=/opt/python PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/opt/python/lib
export PYTHONPATH=/opt/versions:/opt/checkout/milter:/opt/checkout/plugins:/opt/checkout/{packages}
if [ "$1" = guest ]; then shift; exec /opt/python/bin/{name} "$@"; fi
exec /opt/python/bin/{name} -c 'from forebay.cli.main import main; main()' "$@"
END
chmod 755 opt/forebay
cat >etc/systemd/system/guest.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStartPre=-/bin/ip link set lo up
ExecStart=/opt/forebay guest /opt/checkout/tests/vm/guest_systemd.py /opt/forebay /job/seen.json
ExecStopPost=/bin/systemctl poweroff -ff
END
exec chroot /mnt/root /lib/systemd/systemd --unit=guest.service --show-status=no --log-target=null
"""


def memory_below(job: Path) -> str:
    """Where the guest's memory is kept: where files are memory too, if there is room, else on the disk."""
    shared = Path("/dev/shm")
    return str(shared if shared.is_dir() and shutil.disk_usage(shared).free > MEMORY else job)


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Any]]:
    """What was seen in the guest. It is started once."""
    uml = unpack("user-mode-linux", ROOT / ".cache")
    (module,) = uml.glob("usr/lib/uml/modules/*/kernel/fs/overlayfs/overlay.ko")
    with tempfile.TemporaryDirectory(prefix="forebay-vm-", dir="/var/tmp") as folder:
        job = Path(folder)
        init = job / "init"
        base = Path(sys.base_prefix)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = Path(sys.prefix).relative_to(ROOT) / "lib" / version / "site-packages"
        init.write_text(
            INIT.format(python=base / "bin" / version, module=module, job=job, root=ROOT, base=base,
                        packages=packages, name=version)
        )  # fmt: skip
        init.chmod(0o755)
        command = (
            str(uml / "usr/bin/linux.uml"), "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
            f"init={init}", "con=null", "con0=null,fd:1", "con1=null", "ssl=null",
        )  # fmt: skip
        with (job / "console").open("wb") as console:
            subprocess.run(
                ("timeout", "--kill-after=5", str(LIMIT), *command), stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, check=False, env={**os.environ, "TMPDIR": memory_below(job), "HOME": folder},
            )  # fmt: skip
        told = job / "seen.json"
        assert told.exists(), (job / "console").read_text(errors="backslashreplace")[-4000:]
        what: dict[str, Any] = json.loads(told.read_text())
        assert "error" not in what, what
        yield what


def test_it_installs_starts_and_judges(seen: dict[str, Any]) -> None:
    """`forebay install` makes user and directories; the unit starts, and READY comes when mail is judged."""
    status, said = seen["install"]
    assert status == 0
    assert said.count("wrote /") == 9
    assert "(forebay)" in seen["user"]
    assert seen["start"] == [0, ""]
    assert seen["verdicts"] == ["ACCEPT", "REJECT"]


def test_it_runs_without_rights(seen: dict[str, Any]) -> None:
    """An unprivileged user in Postfix's group, no capability to be had, system calls filtered."""
    may = seen["privileges"]
    assert "0" not in may["Uid"].split()
    assert "5000" in may["Groups"].split()
    assert (int(may["CapBnd"], 16), may["NoNewPrivs"], may["Seccomp"]) == (0, "1", "2")


def test_the_socket_for_a_chrooted_postfix_can_be_had(seen: dict[str, Any]) -> None:
    """Below /var/spool/postfix, though all else is read-only; it belongs to Postfix's group."""
    assert seen["socket"] == [0o660, 5000]


def test_a_reload_takes_effect(seen: dict[str, Any]) -> None:
    """`systemctl reload`; a configuration that is wrong changes nothing."""
    assert seen["reload"] == [0, ""]
    assert seen["reloaded"]
    assert seen["wrong reload"] == [0, "ACCEPT", "active"]
    assert "reload: refused" in seen["journal"]


def test_an_upgrade_is_a_reload(seen: dict[str, Any]) -> None:
    """The main process is the version that is installed now, and the manager has seen a reload, no restart."""
    assert seen["upgrade"] == [0, True, True, "ACCEPT", "forebay, version 99.0"]
    assert seen["back"] == [0, True]
    assert "reload: the version that is installed takes over" in seen["journal"]


def test_the_watchdog_and_the_death_of_a_worker(seen: dict[str, Any]) -> None:
    """The manager hears of the service again and again, and sees nothing of a worker that was killed."""
    assert seen["heard of again"]
    assert seen["after a worker's death"] == ["active", True, "0", "ACCEPT"]


def test_a_supervisor_that_dies_is_started_again(seen: dict[str, Any]) -> None:
    """Restart=on-failure: it serves again, on the same socket."""
    assert seen["after the supervisor's death"] == [True, "1"]


def test_a_wrong_configuration_is_not_tried_again_and_again(seen: dict[str, Any]) -> None:
    """Status 78, and no restart."""
    status, state, main_status = seen["wrong restart"]
    assert status != 0
    assert (state, main_status) == ("failed", str(os.EX_CONFIG))


def test_a_stop_is_clean(seen: dict[str, Any]) -> None:
    """The socket goes, the state stays."""
    assert seen["start again"] == [0, ""]
    assert seen["stop"] == [0, "success", False]
    assert seen["state"] == 0o700


def test_a_routers_unit_is_started_in_its_group(seen: dict[str, Any]) -> None:
    """By the drop-in, though the unit is confined; the sidecar has each worker in a leaf of its own."""
    status, said = seen["guard"]
    assert status == 0
    assert "wrote /etc/systemd/system/router.service.d/zz-forebay.conf" in said
    assert seen["verify"] == [0, ""]
    assert seen["router starts"] == [0, ""]
    assert seen["sidecar starts"] == [0, "", "active"]
    assert seen["in leaves"], seen["sidecar journal"]
    assert "outside the router's group" not in seen["sidecar journal"]
    assert "guarding spool by cgroup-v2" in seen["sidecar journal"]


def test_the_sidecar_restarts_and_reloads_under_load_and_ends_no_worker(seen: dict[str, Any]) -> None:
    """Another process after a restart, the same after a reload; a wrong configuration changes nothing."""
    assert seen["works"]
    assert seen["sidecar restarts"] == [0, ""]
    assert seen["sidecar reloads"] == [0, ""]
    assert seen["sidecar after"] == [True, True, True]
    assert seen["wrong sidecar reload"] == [True, True]
    assert "reload: refused" in seen["sidecar journal"]
    assert seen["same workers"], seen["sidecar journal"]
    assert seen["works on"]
    assert seen["untouched"][1] == 0


def test_sidecar_and_router_stop(seen: dict[str, Any]) -> None:
    """The sidecar without its router; the router with all of its workers."""
    assert seen["sidecar stops"] == [0, "success", True]
    assert seen["router stops"] == [0, {}]


def test_what_was_installed_can_be_removed(seen: dict[str, Any]) -> None:
    """All that was written, but the configuration, which was edited."""
    status, said = seen["remove"]
    assert status == 0
    wrote = re.findall(r"^wrote (/\S+)", seen["install"][1] + "\n" + seen["guard"][1], re.MULTILINE)
    assert {*re.findall(r"^removed (/\S+)", said, re.MULTILINE)} == {*wrote} - {"/etc/forebay/forebay.toml"}
    assert "kept /etc/forebay/forebay.toml (it was edited)" in said
    assert "kept /var/lib/forebay " in said
    assert seen["left"] == ["not-found", True]
