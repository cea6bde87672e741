"""Which way of enforcement works here: tried, from the best to the last, and why not the better ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from zlib import crc32

from forebay.errors import UnavailableError
from forebay.sidecar.limits import cgroup
from forebay.sidecar.limits.cgroup_v1 import CgroupV1
from forebay.sidecar.limits.cgroup_v2 import CgroupV2
from forebay.sidecar.limits.leaf import Bounds
from forebay.sidecar.limits.rlimit import Rlimits

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.config_router import Router
    from forebay.sidecar.limits.leaf import Enforcement

WAYS: Final = ("cgroup-v2", "cgroup-v1", "rlimit")
OWN_LEAF: Final = "forebay-sidecar"


def bounds(router: Router, file_size: int) -> Bounds:
    """The limits of one worker."""
    limits = router.limits
    return Bounds(limits.memory, limits.brake if limits.memory else limits.memory_brake, file_size, limits.pids)


def enforcement(router: Router, wanted: str, limits: Bounds, state: str) -> tuple[Enforcement, list[str]]:
    """The best way that works, and a line for each better one that does not. Raises UnavailableError for none."""
    why: list[str] = []
    for way in WAYS if wanted == "auto" else (wanted,):
        try:
            if way == "rlimit":
                return Rlimits(limits), why
            find = _base_v2 if way == "cgroup-v2" else _base_v1
            base = _entered(find(router.cgroup, own_name(state)), router)
            make = CgroupV2 if way == "cgroup-v2" else CgroupV1
            return make(base, limits, router.limits.total), why
        except OSError as error:
            why.append(_refused(way, error))
    raise UnavailableError(f"sidecar.limits: {'; '.join(why)}")


def _refused(way: str, error: OSError) -> str:
    """Why a way of enforcement does not work."""
    return f"no {way}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _entered(base: Path, router: Router) -> Path:
    """A group of our own, where a child of ours can enter it: with v2 that needs a right to the group above us both."""
    if router.cgroup:
        return base  # that of the router's unit: whoever is to run in it was started there
    cgroup.make(base / cgroup.ROUTER)
    pid = os.fork()
    if pid == 0:
        try:
            (base / cgroup.ROUTER / "cgroup.procs").write_text("0", "ascii")
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
    failed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if failed:
        raise OSError(failed, f"no process of this user may enter {base}: {os.strerror(failed)}")
    return base


def own_name(state: str) -> str:
    """The name of our own group: one for each state directory, so that two sidecars do not take each other's."""
    return f"forebay-{crc32(os.fsencode(state)):08x}"


def move_into_router(configured: str, state: str) -> None:
    """For the launcher: this process becomes the first one of the router's group. Raises UnavailableError."""
    why: list[str] = []
    for way, find in zip(WAYS, (_base_v2, _base_v1), strict=False):
        try:
            base = find(configured, own_name(state))
            cgroup.make(base)
            cgroup.make(base / cgroup.ROUTER)
            (base / cgroup.ROUTER / "cgroup.procs").write_text("0", "ascii")
        except OSError as error:
            why.append(_refused(way, error))
        else:
            return
    raise UnavailableError("; ".join(why))


def _base_v2(configured: str, name: str) -> Path:
    """The delegated group. It may have no processes of its own: ours moves to a leaf first."""
    if not (cgroup.ROOT / "cgroup.controllers").exists():
        raise FileNotFoundError(2, "not mounted", str(cgroup.ROOT / "cgroup.controllers"))
    own = cgroup.ROOT / cgroup.own_group("").lstrip("/")
    base = cgroup.ROOT / configured.lstrip("/")
    if not configured:
        if own.name in {OWN_LEAF, cgroup.ROUTER}:
            own = own.parent
        base = own if own.name == name else own / name
    if "memory" not in (base.parent / "cgroup.subtree_control").read_text("ascii").split():
        _leave(base.parent)
        (base.parent / "cgroup.subtree_control").write_text("+memory", "ascii")
    cgroup.make(base)
    if not (base / "memory.max").exists():
        raise OSError(1, "the memory controller is not delegated", str(base))
    return base


def _leave(group: Path) -> None:
    """Move ourselves out of a group that is to have children with limits."""
    if str(os.getpid()) in (group / "cgroup.procs").read_text("ascii").split():
        cgroup.make(group / OWN_LEAF)
        (group / OWN_LEAF / "cgroup.procs").write_text("0", "ascii")


def _base_v1(configured: str, name: str) -> Path:
    root = cgroup.ROOT / "memory"
    if not (root / "cgroup.procs").exists():
        raise FileNotFoundError(2, "not mounted", str(root))
    own = cgroup.own_group("memory").lstrip("/")
    base = root / configured.lstrip("/") if configured else root / own / name
    cgroup.make(base)
    return base
