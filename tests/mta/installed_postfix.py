"""A Postfix that lies where a package installs it, /etc/postfix and setgid bits included, seen by nobody else.

In a mount namespace of its own, what was unpacked is laid over the host's directories, and what is written there goes
into memory. Its programs find their libraries without being told, as setgid ones must, and `postmulti` runs, which
knows no other place. The programs that others start are small scripts that go in there first.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import GROUP
from mta.private_site import CACHE, DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS: Final = {
    "daemon_directory": "/usr/lib/postfix/sbin", "command_directory": "/usr/sbin", "shlib_directory": "/usr/lib/postfix",
    "sendmail_path": "/usr/sbin/sendmail", "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C",
    "export_environment": "TZ MAIL_CONFIG LANG",
}  # fmt: skip
"""What main.cf says otherwise, since inside Postfix lies where it always does."""

# Lives as long as its standard input, and the namespace with it.
_INSIDE: Final = """\
set -e
mount -t tmpfs none "{place}"
for each in etc usr/lib usr/sbin usr/share; do
    mkdir -p "{place}/made/$each" "{place}/scratch/$each"
    mount -t overlay -o "lowerdir={tree}/$each:/$each,upperdir={place}/made/$each,workdir={place}/scratch/$each" none "/$each"
done
chgrp {group} /usr/sbin/postdrop /usr/sbin/postqueue
chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue
echo ready
exec cat
"""
_ENTER: Final = """\
#!/bin/sh
unset LD_LIBRARY_PATH
exec nsenter --target {pid} --mount -- {program} "$@"
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """Such a namespace. `tree` can stand for an unpacked Postfix; `keeper` is a process that lives as long as all this."""

    tree: Path
    keeper: subprocess.Popen[bytes]

    def run(self, *command: str) -> str:
        """What a command prints in there. Raises where it fails."""
        inside = ("nsenter", "--target", str(self.keeper.pid), "--mount", "--", *command)
        done = subprocess.run(inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


@contextmanager
def installed(folder: Path) -> Iterator[Installed]:
    """Keep one until the end of the block; the folder is for what it needs."""
    unpacked, place, tree = unpack("postfix", CACHE), folder / "over", folder / "tree"
    place.mkdir()
    command = ("unshare", "--mount", "sh", "-c", _INSIDE.format(tree=unpacked, place=place, group=GROUP))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        assert keeper.stderr
        try:
            assert keeper.stdout.readline() == b"ready\n", keeper.stderr.read()
            for name in ("usr/lib/postfix/sbin", "usr/sbin"):
                (tree / name).mkdir(parents=True)
                for program in (unpacked / name).iterdir():
                    script = tree / name / program.name
                    script.write_text(_ENTER.format(pid=keeper.pid, program=f"/{name}/{program.name}"))
                    script.chmod(0o755)
            yield Installed(tree, keeper)
        finally:
            keeper.stdin.close()
            keeper.wait(DEADLINE)
