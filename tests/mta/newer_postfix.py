"""A Postfix of a newer Debian than the host's, with that Debian's C library and all else that it needs, unpacked.

It runs in a chroot of its own, in a mount namespace of its own: nothing of the host is installed, changed or mounted.
`master` and the commands are small scripts that go in there first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from mta.private_site import CACHE

MIRROR: Final = "http://deb.debian.org/debian"
KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"

SETTINGS: Final = {
    "daemon_directory": "/usr/lib/postfix/sbin",
    "command_directory": "/usr/sbin",
    "shlib_directory": "/usr/lib/postfix",
    "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C",
}
"""What main.cf says otherwise, since inside of the chroot Postfix lies where it always does."""

# The private folders are below /tmp, inside as outside.
ENTER: Final = """\
#!/bin/sh
unset LD_LIBRARY_PATH
exec unshare --mount sh -c '
    for each in dev proc tmp; do mount --rbind "/$each" "{root}/$each" || exit 1; done
    exec chroot "{root}" "$@"' enter {program} "$@"
"""


def unpack_newer(suite: str) -> Path:
    """Return a folder that can stand for an unpacked Postfix; download it the first time."""
    tree = CACHE / f"postfix-{suite}"
    if tree.is_dir():
        return tree
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"postfix-{suite}-", dir=CACHE) as place:
        work, made = Path(place), Path(place, "tree")
        root = made / "root"
        root.mkdir(parents=True)
        for deb in _download(suite, work):
            subprocess.run(("dpkg-deb", "-x", str(deb), str(root)), check=True)
        _furnish(root)
        _add_scripts(made, tree / "root")
        made.chmod(0o755)
        made.rename(tree)
    return tree


def _download(suite: str, work: Path) -> list[Path]:
    """The packages of the suite that Postfix needs, by apt with lists and a status of its own."""
    for each in ("lists/partial", "cache/archives/partial", "debs"):
        (work / each).mkdir(parents=True)
    (work / "status").touch()
    (work / "source.list").write_text(f"deb [signed-by={KEYS}] {MIRROR} {suite} main\n")
    options = {
        "APT::Sandbox::User": "root", "Dir::Etc::sourcelist": work / "source.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists", "Dir::State::status": work / "status", "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
    }  # fmt: skip
    apt = ("apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}")))
    subprocess.run((*apt, "update"), check=True, capture_output=True)
    plan = subprocess.run(
        (*apt, "--simulate", "--no-install-recommends", "install", "postfix"),
        check=True,
        capture_output=True,
        text=True,
    )
    wanted = [
        each for each in re.findall(r"^Inst (\S+)", plan.stdout, re.MULTILINE) if each.startswith(("lib", "zlib"))
    ]
    subprocess.run((*apt, "download", "postfix", "dash", *wanted), check=True, capture_output=True, cwd=work / "debs")
    return sorted((work / "debs").glob("*.deb"))


def _furnish(root: Path) -> None:
    """What a system has and no package: links to /usr, places to mount on, accounts."""
    for each in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / each).mkdir(parents=True, exist_ok=True)
        old = root / each
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, root / "usr" / each, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        if not old.is_symlink():
            old.symlink_to(f"usr/{each}")
    if not (root / "usr/bin/sh").exists():
        (root / "usr/bin/sh").symlink_to("dash")
    for each in ("dev", "proc", "tmp", "etc"):
        (root / each).mkdir(exist_ok=True)
    for each in ("passwd", "group", "services"):
        if Path("/etc", each).exists():
            shutil.copy(Path("/etc", each), root / "etc")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\nservices: files\n")
    # What delivers mail into files there uses these two.
    for each in ("cat", "mv"):
        _copy_with_libraries(Path(shutil.which(each) or f"/bin/{each}"), root)


def _copy_with_libraries(program: Path, root: Path) -> None:
    """Copy a program of the host, to run in there with the libraries in there: newer ones serve an older program."""
    shutil.copy(program, root / "usr/bin" / program.name)
    listed = subprocess.run(("ldd", str(program)), capture_output=True, text=True, check=True).stdout
    for line in re.findall(r"=> (/\S+)", listed):
        name = Path(line).name
        if not list(root.glob(f"usr/lib/*/{name}")):
            shutil.copy(line, next(root.glob("usr/lib/*-linux-gnu")) / name)


def _add_scripts(made: Path, root: Path) -> None:
    """Scripts in the places where a program of Postfix is looked for, which enter the chroot."""
    inside = made / "root"
    for folder in ("usr/lib/postfix/sbin", "usr/sbin"):
        (made / folder).mkdir(parents=True)
        for program in (inside / folder).iterdir():
            script = made / folder / program.name
            script.write_text(ENTER.format(root=root, program=f"/{folder}/{program.name}"))
            script.chmod(0o755)
    (made / "usr/share/postfix").mkdir(parents=True)
    maps = inside / "usr/share/postfix/dynamicmaps.cf"
    if maps.exists():
        shutil.copy(maps, made / "usr/share/postfix")
