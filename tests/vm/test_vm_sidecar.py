"""The sidecar with cgroup v2: its own tests, run in a guest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from forebay.quickstart.debs import unpack

ROOT: Final = Path(__file__).resolve().parents[2]
LONG: Final = bool(os.environ.get("FOREBAY_TESTS_LONG"))
SECONDS: Final = 7000 if LONG else 850
MEMORY: Final = "1500M" if LONG else "900M"
CHOSEN: Final = (
    "" if LONG else "(killer_is and memory and new) or waits or copies or by_hand or observing or started_at_once"
)


def test_the_sidecar_with_cgroup_v2() -> None:
    """Killers, their copies, waiting, kills by hand and observing (with --long all of them) are as with v1."""
    kernel = unpack("user-mode-linux", ROOT / ".cache") / "usr/bin/linux.uml"
    # In a file system of the guest's own, since the kernel tells of no file that is opened in one of the host's.
    more = {"GUEST_KERNEL": str(kernel), "GUEST_SECONDS": str(SECONDS), "GUEST_MEMORY": MEMORY, "TMPDIR": "/dev/shm",
            "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    guest, base = str(ROOT / "tests/vm/guest"), "/dev/shm/tests"
    command = [guest, sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider",
               f"--basetemp={base}", "-k", CHOSEN, "tests/sidecar/test_sidecar_killers.py",
               "tests/sidecar/test_sidecar_trouble.py", "tests/sidecar/test_sidecar_lookers.py"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-4000:]
