"""What is secret in the configuration, the sidecar tells to nobody else either."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.quickstart.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

SECRET: Final = "correct-horse"
STORE: Final = f"postgresql+psycopg://forebay:{SECRET}@127.0.0.1:1/forebay"


def titles(group: int) -> str:
    """The names, command lines and environments of all processes of a process group: what ps(1) shows, and root can read."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(each.name)) == group:
                found += [(each / name).read_bytes().decode() for name in ("comm", "cmdline", "environ")]
        except OSError:
            continue
    return "\n".join(found)


def test_the_password_of_the_store_is_told_to_nobody(sites: Callable[..., Site]) -> None:
    """It stands in no log, title, metric, status or journal, while a killer is set aside and the store cannot be reached."""
    port = free_port()
    site = sites("new", **{"store.url": STORE, "sidecar.metrics": f"127.0.0.1:{port}"})
    site.put("killer", "crash")
    site.start()
    site.wait(lambda: site.aside_names() == ["killer"])
    site.wait(lambda: "127.0.0.1:1" in site.log())
    shown = titles(os.getpgid(site.process.pid)) if site.process else ""
    assert "forebay.sidecar.clerk" in shown
    assert "standin_router" in shown
    told = {"log": site.log().encode(), "titles": shown.encode(), "metrics": site.metrics(port).encode()}
    for folder in ("run", "state", "state-sidecar"):
        told |= {str(each): each.read_bytes() for each in (site.root / folder).rglob("*") if each.is_file()}
    assert any("journal" in each for each in told)
    assert any("sidecar.json" in each for each in told)
    assert [each for each, text in told.items() if SECRET.encode() in text] == []
