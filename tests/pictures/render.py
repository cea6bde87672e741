"""Draws a dashboard with Grafana's own UI library in a headless Chromium: Node from PyPI, the library from npm, Debian's Chromium.

All of it is kept in .cache; nothing is installed into the system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from forebay.quickstart.debs import library_path, unpack
from metrics.boards_kit import board, targets
from metrics.prometheus_kit import CACHE, Server

PAGE: Final = Path(__file__).with_name("page")
KEPT: Final = CACHE / "pictures"
WIDTH: Final = 1600
STEP: Final = 1.0
WINDOW: Final = "4s"
_HEAD, _ROW = 56, 38  # pixels, as page.jsx lays them out
_DRAWN: Final = "drawn: "
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
    "--virtual-time-budget=10000", "--force-device-scale-factor=1", "--lang=en-US",
)  # fmt: skip


def answers(name: str, source: Server, since: float, until: float) -> dict[str, Any]:
    """What Prometheus says to every expression of a dashboard, by panel: that of now, or the series of that time."""
    wanted = {(each.panel, each.expression): each for each in targets() if each.board == name}
    found: dict[str, Any] = {}
    for panel in board(name)["panels"]:
        found[panel["id"]] = []
        for target in panel["targets"]:
            query = wanted[panel["title"], target["expr"]].ready(WINDOW, f"{int(until - since)}s")
            if target["instant"]:
                answer = source.get("/api/v1/query", query=query, time=until)
            else:
                answer = source.get("/api/v1/query_range", query=query, start=since, end=until, step=STEP)
            found[panel["id"]].append(answer["data"]["result"])
        assert any(found[panel["id"]]), f"{panel['title']} is empty"
    return found


def bundle() -> Path:
    """The page's program in one file, its style beside it; fetches the library the first time, which takes minutes."""
    KEPT.mkdir(parents=True, exist_ok=True)
    pinned = (PAGE / "package.json").read_text()
    stamp = KEPT / "installed.json"
    if not stamp.exists() or stamp.read_text() != pinned:
        (KEPT / "package.json").write_text(pinned)
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--legacy-peer-deps")
        _npm("install", *quiet)
        stamp.write_text(pinned)
    for each in PAGE.glob("*.js*"):
        shutil.copy(each, KEPT)
    _npm(
        "exec", "--offline", "--", "esbuild", "page.jsx", "--bundle", "--outfile=made/page.js", "--jsx=automatic", "--minify",
        "--log-level=warning", "--loader:.woff=dataurl", "--loader:.woff2=dataurl", "--loader:.ttf=empty",
        '--define:process.env.NODE_ENV="production"',
    )  # fmt: skip
    return KEPT / "made" / "page.js"


def draw(name: str, data: dict[str, Any], since: float, until: float, target: Path) -> None:
    """Write the picture of a dashboard. What the page complains of, and a page that is not drawn, is an AssertionError."""
    shown = board(name)
    picture = {
        "board": shown, "answers": data, "from": since, "to": until, "step": STEP, "width": WIDTH,
    }  # fmt: skip
    rows = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in shown["panels"])
    text = json.dumps(picture).replace("<", "\\u003c")
    page = KEPT / "made" / f"{name}.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css"><div id="board"></div>'
        f'<script>window.picture = {text}</script><script src="page.js"></script>\n'
    )
    made = page.with_suffix(".png")
    made.unlink(missing_ok=True)
    said = _chromium(f"--window-size={WIDTH},{_HEAD + rows * _ROW}", f"--screenshot={made}", page.as_uri())
    assert _DRAWN in said, said
    assert "Uncaught" not in said, said
    shutil.move(made, target)


def _chromium(*arguments: str) -> str:
    tree = unpack("chromium-headless-shell", CACHE)
    home = tree / "usr/lib/chromium"
    # It looks for its resources beside itself, and Debian has them in a package of their own.
    shutil.copytree(
        unpack("chromium-common", CACHE) / "usr/lib/chromium", home, dirs_exist_ok=True, copy_function=_link
    )
    paths = ":".join((library_path(tree), *(str(each) for each in tree.glob("usr/lib/*-linux-*/pulseaudio"))))
    with tempfile.TemporaryDirectory(prefix="forebay-") as profile:
        command = (str(home / "chromium-headless-shell"), *_FLAGS, f"--user-data-dir={profile}", *arguments)
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
            env={**os.environ, "LD_LIBRARY_PATH": paths, "HOME": profile},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def _link(source: str, target: str) -> None:
    if not Path(target).exists():
        Path(target).hardlink_to(source)


def _npm(*arguments: str) -> None:
    programs = Path(sys.executable).parent  # of the virtual environment: node lies beside npm
    done = subprocess.run(
        (str(programs / "npm"), *arguments), cwd=KEPT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, f"npm {' '.join(arguments)}: {done.stdout}{done.stderr}"
