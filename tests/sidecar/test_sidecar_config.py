"""The sections [router], [router.limits] and [sidecar]: every mistake is told, and what to write instead."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from forebay.api.router import Site
from forebay.cli.sidecar import load
from forebay.config import Config
from forebay.errors import ConfigError
from forebay.sidecar.placing import ways
from forebay.sidecar.routers.zmailer import ZMailer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRONG = """
milter.metrics = "127.0.0.1:9892"
[router]
adapter = "zmialer"
workers = "("
spool = ["/nowhere/a"]
input = ["/nowhere/a", "/nowhere/b"]
command = ["/nowhere/router"]
colour = "red"
[router.limits]
memory = "64M"
memory_brake = "65M"
total_memory = "32M"
strikes = 0
message_time = 30.0
message_cpu = 60.0
[sidecar]
mode = "watch"
set_aside_max = -1
limits = "cgroup"
"""
PLACES = {
    "router.adapter", "router.workers", "router.spool", "router.input", "router.command", "router.colour",
    "router.limits.memory_brake", "router.limits.total_memory", "router.limits.strikes",
    "router.limits.message_cpu", "sidecar.mode", "sidecar.set_aside_max", "sidecar.limits", "sidecar.metrics",
}  # fmt: skip


def told(text: str, path: Path) -> dict[str, str]:
    """What is said of a configuration, by place."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert caught.value.exit_code == os.EX_CONFIG
    return {mistake.place: mistake.text for mistake in caught.value.mistakes}


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Each with its place, and the nearest name where one was misspelt."""
    found = told(WRONG, tmp_path / "forebay.toml")
    assert set(found) == PLACES
    assert "did you mean zmailer?" in found["router.adapter"]
    assert found["router.spool"] == "no such directory: /nowhere/a"


def test_config_check_tells_the_same(tmp_path: Path) -> None:
    """`forebay config check` says what `forebay sidecar` would, beside the mistakes of validators, and ends with 78."""
    path = tmp_path / "forebay.toml"
    path.write_text(WRONG + '[policy]\npreset = "loose"\n[validators.no-such-thing]\n')
    code = "import sys; from forebay.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "config", "check", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_CONFIG, done.stderr
    for place in (*PLACES, "policy.preset", "validators.no-such-thing"):
        assert f"{place}: " in done.stderr


def spool(root: Path) -> str:
    (root / "spool").mkdir()
    return f'adapter = "spool"\nspool = ["{root}/spool"]\n'


def office(root: Path, *names: str) -> str:
    for name in names:
        (root / "spool" / name).mkdir(parents=True)
    return f'adapter = "zmailer"\nspool = ["{root}/spool"]\n'


def file(root: Path) -> str:
    (root / "file").touch()
    return f'adapter = "spool"\nspool = ["{root}/file"]\n'


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (lambda _: 'adapter = "spool"\n', "router.spool", "name the directories"),
        (lambda root: spool(root) + 'claim = "x{pid}"\n', "router.claim", "{name}"),
        (lambda root: spool(root).replace('"spool"', '"command"', 1) + 'command = ["true"]\n', "router.command", "{}"),
        (lambda root: spool(root).replace('"spool"', '"none"', 1), "router.adapter", "what kind of router"),
        (lambda root: spool(root) + f'input = ["{root}/spool/"]\n', "router.input", "that the router itself reads"),
        (lambda root: spool(root) + f'input = ["{root}/door"]\n', "router.input", "no such directory"),
        (lambda root: spool(root) + 'input = ["/proc"]\n', "router.input", "must be on the file system of"),
        (lambda root: spool(root) + f'aside = "{root}/spool"\n', "router.aside", "that messages are taken from"),
        (lambda root: spool(root) + f'aside = "{root}/no/where"\n', "router.aside", "no such directory"),
        (lambda root: spool(root) + 'command = ["/nowhere/router"]\n', "router.command", "no such program"),
        (file, "router.spool", "no directory"),
        (lambda root: office(root, "queue"), "router.spool", "no POSTOFFICE"),
        (lambda root: office(root, "router") + f'input = ["{root}/spool/router"]\n', "router.input", "INPUTDIRS"),
        (lambda root: office(root, "router") + f'aside = "{root}/spool/deferred"\n', "router.aside", "ZMailer's own"),
        (lambda root: office(root, "router").replace("]", ', "/tmp"]'), "router.spool", "POSTOFFICE"),
    ],
)
def test_what_adapters_and_places_lack(tmp_path: Path, text: Callable[[Path], str], place: str, said: str) -> None:
    """What a kind of router needs, directories that are there, and that fit each other: one mistake each."""
    found = told(f"[router]\n{text(tmp_path)}", tmp_path / "forebay.toml")
    assert list(found) == [place]
    assert said in found[place]


def test_zmailers_writers_may_stay_where_they_are(tmp_path: Path) -> None:
    """With INPUTDIRS set, router/ is where writers deliver, and what it reads is another: the gate lies between."""
    text = (
        office(tmp_path, "router/A", "router1") + f'input = ["{tmp_path}/spool/router", "{tmp_path}/spool/router/A"]\n'
    )
    path = tmp_path / "forebay.toml"
    path.write_text(f"[router]\n{text}")
    config, adapter = load(str(path))
    assert adapter.directories() == (f"{tmp_path}/spool/router1",)
    assert {target for _, target in ways(config.router.input, adapter.directories())} == {f"{tmp_path}/spool/router1"}
    assert set(ZMailer(Site(spool=(f"{tmp_path}/spool",))).directories()) == {
        f"{tmp_path}/spool/{name}" for name in ("router", "router/A", "router1")
    }  # fmt: skip


def test_the_defaults_make_sense() -> None:
    """The brake lies at least 10 MiB below the limit, and the reserve is never given away."""
    limits = Config().router.limits
    assert limits.brake <= limits.memory - (10 << 20)
    assert limits.total <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - limits.reserve
    assert limits.message_cpu < limits.message_time
    assert Config().router.adapter == "none"
