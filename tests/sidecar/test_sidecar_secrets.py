"""What is secret in the configuration, the sidecar tells to nobody else either."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # has none

from forebay.quickstart.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

SECRET: Final = "correct-horse"
STORE: Final = f"postgresql+psycopg://forebay:{SECRET}@127.0.0.1:1/forebay"


def titles(pid: int) -> list[str]:
    """The name, command line and environment of a process and of all below it: what ps(1) shows, and root can read."""
    found = []
    for each in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(OSError):  # it has ended meanwhile
            folder = Path("/proc") / str(each.pid)
            found.append("\n".join((folder / name).read_bytes().decode() for name in ("comm", "cmdline", "environ")))
    return found


def test_the_password_of_the_store_is_told_to_nobody(sites: Callable[..., Site]) -> None:
    """It stands in no log, title, metric, status or journal, while a killer is set aside and the store cannot be reached."""
    port = free_port()
    site = sites("new", **{"store.url": STORE, "sidecar.metrics": f"127.0.0.1:{port}"})
    site.put("killer", "crash")
    site.start()
    site.wait(lambda: site.aside_names() == ["killer"])
    site.wait(lambda: "127.0.0.1:1" in site.log())
    assert site.process
    shown = titles(site.process.pid)
    assert any("forebay.sidecar.clerk" in each for each in shown)
    assert any("standin_router" in each and "forebay.cli" not in each for each in shown)
    told = {"log": site.log().encode(), "titles": "".join(shown).encode(), "metrics": site.metrics(port).encode()}
    for folder in ("run", "state", "state-sidecar"):
        told |= {str(each): each.read_bytes() for each in (site.root / folder).rglob("*") if each.is_file()}
    assert any("journal" in each for each in told)
    assert any("sidecar.json" in each for each in told)
    assert [each for each, text in told.items() if SECRET.encode() in text] == []
