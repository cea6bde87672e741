"""Debian packages, unpacked into a folder of ours: with an apt-get and a dpkg-deb that only pretend."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forebay.errors import UnavailableError
from forebay.quickstart.debs import library_path, missing_libraries, unpack
from forebay.quickstart.ports import free_port

APT = """\
#!/bin/sh
echo "$@" >>"{log}"
case "$*" in
    *--simulate*) echo "Inst libfoo1 (1.0 Debian [amd64])"; echo "Inst ucf (1)"; echo "Inst thing (2)" ;;
    *update*) touch "{log}.fresh" ;;
    *download*) {download} ;;
esac
"""
DPKG = """\
#!/bin/sh
mkdir -p "$3/usr/bin"
cp "$2" "$3/usr/bin/"
"""
WORKS = 'for each in "$@"; do last="$last $each"; done; touch thing_2.deb libfoo1_1.deb'
NEEDS_UPDATE = f'if [ -e "{{log}}.fresh" ]; then {WORKS}; else echo "E: 404" >&2; exit 100; fi'
FAILS = 'echo "E: no network" >&2; exit 100'


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first in PATH, for programs that pretend."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    """Put a program there."""
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def pretend_apt(folder: Path, download: str) -> Path:
    """Put both programs there; the file that apt-get's arguments are written to."""
    log = folder / "log"
    put(folder, "apt-get", APT.format(log=log, download=download.format(log=log)))
    put(folder, "dpkg-deb", DPKG)
    return log


def test_a_package_comes_with_the_libraries_that_are_missing(pretend: Path, tmp_path: Path) -> None:
    """And with nothing else; a second time nothing is fetched."""
    log = pretend_apt(pretend, WORKS)
    cache = tmp_path / "cache"
    tree = unpack("thing", cache)
    assert tree == cache / "thing"
    assert sorted(path.name for path in (tree / "usr/bin").iterdir()) == ["libfoo1_1.deb", "thing_2.deb"]
    assert log.read_text().splitlines()[-1].endswith("download thing libfoo1")
    assert [each.name for each in cache.iterdir()] == ["thing"]
    log.unlink()
    assert unpack("thing", cache) == tree
    assert not log.exists()


def test_stale_lists_are_fetched_again(pretend: Path, tmp_path: Path) -> None:
    """A mirror that no longer has what the lists name is asked for new lists, once."""
    log = pretend_apt(pretend, NEEDS_UPDATE)
    assert unpack("thing", tmp_path / "cache").is_dir()
    assert "update" in log.read_text()


def test_a_failure_is_told_with_its_command(pretend: Path, tmp_path: Path) -> None:
    """What was run, and what it said; nothing half made is left."""
    pretend_apt(pretend, FAILS)
    with pytest.raises(UnavailableError, match=r"apt-get .*download thing libfoo1\nE: no network"):
        unpack("thing", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_system_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried then."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="this system has none"):
        unpack("thing", tmp_path / "cache")


def test_libraries_are_looked_for_in_the_tree(tmp_path: Path) -> None:
    """Where Debian's packages have them."""
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (tmp_path / "usr/lib/postfix").mkdir()
    assert library_path(tmp_path) == f"{tmp_path}/usr/lib/postfix:{tmp_path}/usr/lib/x86_64-linux-gnu"
    assert missing_libraries(Path("/bin/sh"), tmp_path) == []


def test_a_free_port_is_none_that_the_kernel_gives_away() -> None:
    """A client of somebody else might get one of those between our look and our use."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 < free_port() < max(first, 32768) for _ in range(50))
